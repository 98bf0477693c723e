"""One pull request in a hosted workflow: audit what it adds, and publish what was found.

Two halves that trust each other in nothing but data. `work` audits untrusted code and holds no secret;
`publish` holds a token and executes nothing, and takes what `work` left as untrusted.
"""
