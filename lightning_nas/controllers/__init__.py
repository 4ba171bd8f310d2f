"""Policies over the decisions of a space."""
