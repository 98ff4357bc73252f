"""The networks of the lite engine, as they are trained."""
