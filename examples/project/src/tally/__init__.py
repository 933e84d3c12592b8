"""Adds up what a household spends."""
