"""
Question and answer files as agents and people really write them.
"""

import pytest

from orchestrd.domain.events import QuestionOption
from orchestrd.domain.questionfiles import choose, read_answer, read_question, write_answer, write_question

DOCUMENTED = """\
# Question from Agent task-001

## Context
The list has 4,000 rows.

## Question
Shall I page it?
Twenty a page?

## Options
A) Yes, twenty
B) No
   it is fine as it is

## Impact
The URL changes.
"""


def labels(options: str) -> list[str]:
    found = read_question(f"## Question\nWhich?\n\n## Options\n{options}")
    return [option.label for option in found.options]


def test_the_documented_form():
    found = read_question(DOCUMENTED)
    assert found.text == (
        "Shall I page it?\nTwenty a page?\n\nContext: The list has 4,000 rows.\n\nImpact: The URL changes."
    )
    assert found.header == "Shall I page it?"
    assert [option.label for option in found.options] == ["Yes, twenty", "No it is fine as it is"]


@pytest.mark.parametrize("text", ["", "\n \n", "# Question from Agent task-001\n", "# Q\n\n## Options\nA) x\n"])
def test_nothing_to_answer_yet(text):
    assert read_question(text) is None


def test_loose_text_is_the_question():
    found = read_question("# Help\n\nWhich database?\nSQLite or Postgres?\n")
    assert (found.text, found.header, found.options) == ("Which database?\nSQLite or Postgres?", "", ())


def test_only_the_question_is_needed():
    found = read_question("## Question\nWhich?\n")
    assert (found.text, found.header, found.options) == ("Which?", "Which?", ())


@pytest.mark.parametrize("heading", ["# QUESTION", "### Question:", "## question ##", "  ## Question"])
def test_headings_in_any_dress(heading):
    assert read_question(f"{heading}\nWhich?").text == "Which?"


def test_windows_line_ends():
    assert read_question(DOCUMENTED.replace("\n", "\r\n")) == read_question(DOCUMENTED)


def test_headings_inside_fenced_code_are_code():
    found = read_question(
        "## Question\nIs this right?\n```md\n## Options\nA) not an option\n```\nSure?\n## Options\nA) Yes\n"
    )
    assert "## Options\nA) not an option" in found.text
    assert [option.label for option in found.options] == ["Yes"]


def test_other_headings_belong_to_where_they_stand():
    found = read_question("# Title\n## Context\nOne.\n### Detail\nTwo.\n## Question\nWhich?")
    assert "Detail" in found.text
    assert "Title" not in found.text


@pytest.mark.parametrize(
    "written",
    [
        "A) SQLite\nB) Postgres",
        "a. SQLite\nb. Postgres",
        "1) SQLite\n2) Postgres",
        "1. SQLite\n2. Postgres",
        "- A) SQLite\n- B) Postgres",
        "- SQLite\n- Postgres",
        "* SQLite\n\n* Postgres",
        "**A)** SQLite\n**B)** Postgres",
        "**A**) SQLite\n**B**) Postgres",
        "- **A:** SQLite\n- **B:** Postgres",
        "- **A**: SQLite\n- **B**: Postgres",
        "(A) SQLite\n(B) Postgres",
        "Option A: SQLite\nOption B: Postgres",
        "**Option A:** SQLite\n**Option B:** Postgres",
        "- Option A) SQLite\n- Option B) Postgres",
        "### Option A: SQLite\n### Option B: Postgres",
        "A: SQLite\nB: Postgres",
    ],
)
def test_options_lettered_numbered_or_bulleted(written):
    assert labels(written) == ["SQLite", "Postgres"]


def test_a_long_option_goes_on_in_the_next_line():
    assert labels("A) SQLite,\n   because it is small\nB) Postgres") == ["SQLite, because it is small", "Postgres"]


def test_text_before_the_first_option_is_none():
    assert labels("Choose one:\nA) SQLite") == ["SQLite"]


def test_what_is_written_can_be_read_back():
    options = (QuestionOption(label="SQLite", description="small"), QuestionOption(label="Postgres"))
    text = write_question(
        task="2026-11-22/task-001", number=1, text="Which?\n\nThink.", options=options, answer_file="x-answer.md"
    )
    assert text.startswith("# Question from Agent 2026-11-22/task-001\n")
    assert "`x-answer.md`" in text
    assert 'orchctl answer task-001 "…"' in text
    found = read_question(text)
    assert found.text == "Which?\n\nThink."
    assert found.options[0].label == "SQLite — small"


def test_how_to_answer_is_no_part_of_the_question():
    text = write_question(task="2026-11-22/task-001", number=1, text="Which?", options=(), answer_file="x-answer.md")
    assert read_question(text).text == "Which?"
    options = (QuestionOption(label="SQLite"),)
    text = write_question(
        task="2026-11-22/task-001", number=1, text="Which?", options=options, answer_file="x-answer.md"
    )
    assert [option.label for option in read_question(text).options] == ["SQLite"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("SQLite", "SQLite"),
        ("  SQLite\n\nIt is small.\n", "SQLite\n\nIt is small."),
        ("# Answer to task-001\n\nSQLite\n", "SQLite"),
        ("## Answer\nSQLite", "SQLite"),
        ("# Decision\nSQLite", "# Decision\nSQLite"),
        ("# Answer to task-001\n", ""),
        ("\n\n", ""),
        ("", ""),
    ],
)
def test_answers(text, answer):
    assert read_answer(text) == answer


def test_an_answer_that_is_kept_can_be_read_back():
    text = write_answer(task="2026-11-22/task-001", answer="SQLite\n\nIt is small.\n", by="cli")
    assert "answered by cli" in text
    assert read_answer(text) == "SQLite\n\nIt is small."


class TestChoose:
    OPTIONS = tuple(QuestionOption(label=label) for label in ("SQLite", "Postgres", "B", "7"))

    @pytest.mark.parametrize(
        ("choices", "found"),
        [
            (["A"], ["SQLite"]),
            (["b"], ["B"]),  # a label of that name comes before the letter
            (["c"], ["B"]),
            (["1"], ["SQLite"]),
            (["4"], ["7"]),
            (["7"], ["7"]),
            ([" postgres "], ["Postgres"]),
            (["A", "2"], ["SQLite", "Postgres"]),
            ([], []),
        ],
    )
    def test_letters_numbers_and_labels(self, choices, found):
        assert choose(self.OPTIONS, choices) == found

    @pytest.mark.parametrize("choice", ["E", "0", "5", "-1", "", "MySQL", "AA", "ß", "é", "²", "٣"])
    def test_what_was_not_offered(self, choice):
        with pytest.raises(ValueError, match=r"not an option; offered: A\) SQLite, B\) Postgres"):
            choose(self.OPTIONS, [choice])

    def test_nothing_was_offered(self):
        with pytest.raises(ValueError, match="offered: none"):
            choose((), ["A"])
