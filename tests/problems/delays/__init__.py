"""A tiny regression: by how many minutes will this train be late?"""
