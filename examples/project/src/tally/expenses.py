"""Read expenses and add them up; amounts are whole cents."""

import csv
from dataclasses import dataclass


@dataclass(frozen=True)
class Expense:
    """One line of the book."""

    day: str
    what: str
    cents: int


def read(lines):
    """Expenses from CSV lines of the form ``day,what,amount``."""
    return [Expense(day, what, cents(amount)) for day, what, amount in csv.reader(lines)]


def cents(amount):
    """``"12.5"`` as 1250."""
    return int(float(amount) * 100)


def total(expenses):
    """Sum in cents."""
    return sum(expense.cents for expense in expenses)
