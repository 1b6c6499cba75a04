"""What was measured once: the tables of ``bench/*.md``."""

from meagan_lib import ROOT, InputError


def bench(page: str, row: str, column: str) -> str:
    """Return a cell of ``bench/<page>.md``: of the first row that begins with ``row``, in a table with that column.

    ``InputError``: there is none.
    """
    columns = []
    for line in (ROOT / "bench" / f"{page}.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        columns = cells if column in cells else columns if line.startswith("|") else []
        if columns and cells[0] == row:
            return cells[columns.index(column)]
    raise InputError(f"bench/{page}.md has no row '{row}' with a column '{column}'")
