"""The lite engine: small networks that come with the package and run on a CPU."""
