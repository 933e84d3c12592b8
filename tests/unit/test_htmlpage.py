"""
The report as HTML: what agents wrote is shown, never obeyed.
"""

from orchestrd.services.htmlpage import html_page


def test_tables_and_headings_are_rendered():
    page = html_page("Report", "# Day\n\n| Task | Cost |\n|---|---|\n| a | $1 |\n")
    assert "<h1>Day</h1>" in page
    assert "<td>$1</td>" in page
    assert page.startswith("<!doctype html>")


def test_html_scripts_and_images_in_the_text_stay_text():
    page = html_page("<b>", "<script>alert(1)</script>\n\n![x](http://127.0.0.1/spy)\n\n[y](javascript:alert(1))")
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript:' not in page
    assert "<title>&lt;b&gt;</title>" in page
