"""A bot that hunts liquidations on Aster, and protects what it opens."""

VERSION = "0.1.0"
