"""Levels: named prices, approaches to them, what book and tape did there, what happened next.

In: order data of a contract and its minutes. Out: `gold.levels`, `gold.episodes`,
`gold.episode_features` and, apart from them, `gold.episode_outcomes`.
"""
