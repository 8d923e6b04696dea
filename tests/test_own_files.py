import pandas as pd
import pytest

from vaeline.errors import VaelineError
from vaeline.own_files import read_json, read_table


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_json_file_is_named(tmp_path, content):
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(VaelineError, match=r"report\.json is damaged .*; delete it, and `vaeline run` makes it again"):
        read_json(tmp_path / "report.json")


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
@pytest.mark.parametrize("share", [0, 0.6])
def test_a_damaged_table_is_named(tmp_path, name, share):
    frame, file = pd.DataFrame({"a": range(50), "b": "text"}), tmp_path / name
    frame.to_csv(file, index=False) if file.suffix == ".csv" else frame.to_parquet(file)
    assert read_table(file).equals(frame)
    content = b"a,b\n1,2\n1,2,3" if share and file.suffix == ".csv" else file.read_bytes()[: int(share * 500)]
    file.write_bytes(content)
    with pytest.raises(VaelineError, match=rf"{name} is damaged"):
        read_table(file)


@pytest.mark.parametrize("read", [read_json, read_table])
def test_a_missing_file_is_named_with_what_makes_it(tmp_path, read):
    with pytest.raises(VaelineError, match=r"none\.json is missing; `vaeline run` makes it"):
        read(tmp_path / "none.json")
