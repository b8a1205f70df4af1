"""The report as one page that needs nothing besides: no network, script or font."""

from parity.html.page import page as page
