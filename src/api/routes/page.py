"""The page itself."""

from flask import Blueprint, render_template

from src import VERSION
from src.api.dashboard import dashboard
from src.api.routes.set_up import set_up_page

blueprint = Blueprint("page", __name__)


@blueprint.get("/")
def show_page() -> str:
    """The dashboard; it carries the token that proves a write comes from it. On the first run it is the set-up."""
    if dashboard().set_up.is_first_run():
        return set_up_page()
    return render_template("index.html", token=dashboard().token, version=VERSION)
