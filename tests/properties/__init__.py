"""One property of the project a file, for everything that can be drawn, and illegal twins that break it."""
