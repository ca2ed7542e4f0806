"""The backtest: what would each policy of retraining have done with a year that has been?

    ratchet backtest 2013-01 2013-02 … 2013-12

    grid.py       every model that any policy could have had, fitted once and kept; its scores of every row
    evidence.py   what is known when a period ends: the check of the period, and the verdict on a challenger
    policies.py   never, every month, on drift, on a fall, on proof: functions of that evidence
    replay.py     a policy walks through the year; the oracle, which knows the future, shows what could be had
    results.py    what came of it: pull requests, loss on the following months, regret, intervals by day
    rates.py      error rates that one year cannot show: years without a change, and years with an injected one
    page.py       the figures as a table, a picture and a file

A policy sees what was known at the time: the rows of a period when it ends, and their labels when the next one begins.
"""
