"""Tests of where tiles are computed."""
