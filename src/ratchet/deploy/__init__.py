"""What runs where: the state that the branch `deploy` holds, the ways it changes, and what follows from it.

    state       two slots, who answers in which share; JSON
    strategy    the next state: a newcomer by a strategy, or back to an earlier state
    traefik     the routes of a state, for Traefik's file provider
    kubernetes  the same as resources of Kubernetes
    branch      reads and moves the branch, and records who moved it and why

The first four are functions of values. A promotion and a rollback change weights: nothing is built, and the arm that
answered before is still warm.
"""
