"""The report as one page that needs nothing besides: no network, script or font."""

from parity.report.page.document import page as page
