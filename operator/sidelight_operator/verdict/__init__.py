"""Is the candidate as good as the baseline? Pure: sums by stratum in, a verdict out.

    strata of a minute -> matched.py -> evidence.py -> sequential.py -> judge.py

`choice.py` says which versions are compared, `ledger.py` what came in a minute, `comparison.py`
puts them together. docs/verdict.md has the assumptions and how often it errs.
"""
