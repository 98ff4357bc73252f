"""How the figures and weights of the lite engine are made."""
