"""What a reviewer reads: the verdict, the evidence under it, and how to get it again.

    document = report.report(report.Inputs(verdict, champion, challenger))
    markdown.render(document)   # a comment on GitHub, never longer than one may be
    page.render(document)       # a self-contained HTML page

A report is a list of small section functions over data; a missing input gives an empty section.
"""

from ratchet.report.document import Document, Section, document
from ratchet.report.sections import SECTIONS, Inputs, Side, report

__all__ = ["SECTIONS", "Document", "Inputs", "Section", "Side", "document", "report"]
