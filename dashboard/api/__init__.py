"""The JSON API under /api/: one module a noun, each with a router; the pages' own querysets and services below."""
