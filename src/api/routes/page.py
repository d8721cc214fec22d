"""The page itself."""

from flask import Blueprint, render_template

from src import VERSION
from src.api.dashboard import dashboard

blueprint = Blueprint("page", __name__)


@blueprint.get("/")
def show_page() -> str:
    """The dashboard; it carries the token that proves a write comes from it."""
    return render_template("index.html", token=dashboard().token, version=VERSION)
