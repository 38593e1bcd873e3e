"""Recipes, one file each, and how they are named and changed on the command line."""
