"""The self-test: asks the GitHub that a repository is on whether it does what the loop takes for granted.

ask         the two jobs of selftest.yml
questions   what is asked with the rights that the loop's jobs have together
comments    what is asked with the one permission that writes comments
scene       the branch, the commits and the pull request that are asked about, and how they go again
answers     what came of it: as we think, otherwise, or could not ask
branch      which pull requests are the self-test's own: the rest of the loop leaves them alone
live        has it all asked from a desk
"""
