import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from tally.expenses import read, total


class ExpensesTest(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total(read(["2026-11-01,bread,3.50", "2026-11-02,milk,1.25"])), 475)


if __name__ == "__main__":
    unittest.main()
