"""Retraining: a new period is looked at, and a pull request is opened only when retraining is proven to help.

    periods    which period comes next                                                       (pure)
    facts      what a check looks at: the champion, what it knows, a period as it arrived    (reads)
    inquiry    the check of one period; where it might help, a challenger and its proof      (reads)
    words      what people are told: the pull request, the issues                            (pure)
    answer     the records, the pull request or the issue                                    (writes)

What is found is decided by `ratchet.drift` and `ratchet.policy`, which know neither git nor GitHub. `drift.yml` runs
the two halves as two jobs: the one that trains has a token that reads, the one that writes sees a folder of data.
"""
