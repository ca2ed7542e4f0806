"""A tiny binary problem: will a coin of this metal, thrown this hard, land on its head?"""
