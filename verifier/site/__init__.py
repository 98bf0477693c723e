"""A batch as static pages: `entry` is a row, `frontier` the best claims over time, `build` writes the folder."""
