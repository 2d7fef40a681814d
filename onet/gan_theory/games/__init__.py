"""Games of two players small enough for closed formulas. NumPy only.

Each module holds one family. Every game has a vector field, its Jacobian, an equilibrium, and the
eigenvalues there in closed form (`game.py`); `catalogue.py` finds them by name.
"""
