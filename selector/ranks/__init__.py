"""Several processes that train one trial together, a device each: who starts, leads and ends them.

Rank 0 is the worker that holds the trial. The others are processes below it that follow its orders
and go through the same training. Torch's own launchers start all ranks alike and end them when one
does; here rank 0 is there before, holds a lease on the trial, and keeps the others from one trial
to the next. So they are plain spawned processes with a pipe each, whose end is heard at once; what
is torch's are the group, its rendezvous and the gradients.
"""

from selector.ranks.team import Team as Team
