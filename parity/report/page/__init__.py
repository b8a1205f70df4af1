"""The report as one page that needs no other file: no network, script or font."""

from parity.report.page.document import page as page
