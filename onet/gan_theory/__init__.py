"""What is known of adversarial training, proved on games and measured on networks.

`games` are small enough for closed formulas; `dynamics` and `rates` say how steps run on them,
`landscape` where collapses are minima, `poincare` what the data ask for. `spectrum`, `blocks` and
`trained_game` look at networks; `studies` make tables and pictures of all of it. Nothing that
trains or reconstructs imports from here. Conventions and sources are those of `onet.adversarial`.
"""
