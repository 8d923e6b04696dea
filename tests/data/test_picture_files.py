import pandas as pd
import pytest

from vaeline.data.picture_files import find_picture_files, is_picture_table, natural_order, read_picture_table
from vaeline.errors import VaelineError


@pytest.fixture
def lay(tmp_path):
    """Make empty files with these names."""

    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("names", "labels", "splits"),
    [
        (("1.png", "2.JPG"), None, None),
        (("a/1.png", "b/2.webp", "b/deep/3.gif"), ("a", "b", "b"), None),
        (("Dataset/0/1.png", "Dataset/1/2.bmp"), ("0", "1"), None),
        (("cats/1.tif", "cats/2.tiff"), ("cats", "cats"), None),
        (("train/a/1.png", "test/a/2.png", "val/b/3.png"), ("a", "a", "b"), ("test", "train", "validation")),
        (("D/Training/1.png", "D/Testing/2.png"), None, ("test", "train")),
        (("train/a/1.png", "train/b/1.png"), ("a", "b"), None),
        (("train/1.png", "val/2.png"), None, ("train", "validation")),
    ],
)
def test_places_give_labels_and_splits(lay, names, labels, splits):
    found = find_picture_files(lay(*names))
    assert [file.name for file in found.files] == [name.rsplit("/", 1)[-1] for name in sorted(names)]
    assert (found.labels, found.splits) == (labels, splits)


def test_other_endings_are_counted(lay):
    folder = lay("a/1.png", "b/2.png", "a/notes.txt", "LICENSE", "b/3.heic", "b/4.HEIC", ".hidden.png")
    found = find_picture_files(folder)
    assert found.labels == ("a", "b")
    assert found.ignored == {".txt": 1, "no ending": 1, ".heic": 2}


@pytest.mark.parametrize(
    "names",
    [
        ("good/1.jpg", "scratch/1.jpg", "scratch/2.jpg", "masks/scratch/1.png", "masks/good/1.png"),
        ("test/good/1.jpg", "test/scratch/1.jpg", "train/good/2.jpg", "ground_truth/scratch/1_mask.png"),
    ],
)
def test_a_mask_belongs_to_the_picture_of_its_name(lay, names):
    found = find_picture_files(lay(*names))
    assert set(found.labels) == {"good", "scratch"}
    pairs = [
        (file.parent.name, file.stem, mask.parent.name, mask.stem.removesuffix("_mask"))
        for file, mask in zip(found.files, found.masks, strict=True)
        if mask
    ]
    assert len(pairs) == sum("mask" in name or "truth" in name for name in names)
    assert all(pair[:2] == pair[2:] for pair in pairs)
    with pytest.raises(VaelineError, match=r"9\.png: a mask of no picture \(1 such"):
        find_picture_files(lay("masks/scratch/9.png"))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("notes.txt",), r"no pictures .*; it holds 1 of \.txt"),
        (("a/1.png", "2.png"), r"2\.png: lies beside labelled sub-folders"),
        (
            ("train/1.png", "test/2.png", "more/3.png"),
            r"3\.png: lies beside the folders of the splits, in none of them",
        ),
    ],
)
def test_a_mixed_or_empty_folder_is_refused(lay, names, sentence):
    with pytest.raises(VaelineError, match=sentence):
        find_picture_files(lay(*names))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_names_pictures_labels_and_splits(lay, ending):
    folder = lay("x/1.png", "x/2.png")
    table = pd.DataFrame({"Path": ["x/2.png", "x/1.png"], "label": ["NA", "10"], "split": ["Train", "test"]})
    path = folder / f"table.{ending}"
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    assert is_picture_table(path)
    found = read_picture_table(path)
    assert [file.name for file in found.files] == ["2.png", "1.png"]
    assert (found.labels, found.splits) == (("NA", "10"), ("train", "test"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name,label\n1.png,a\n", "columns name, label; expected path"),
        ("path,label\n1.png,a\n9.png,b\n", r"row 2: .*9\.png is no file"),
        ("path,label\n1.png,\n", "rows without a path, a label, a split or a group"),
        ("path,split\n1.png,later\n", "split 'later'; expected train, validation or test"),
        ("path,label\n", "has no rows"),
        ("", "not a readable table"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(lay, content, sentence):
    path = lay("1.png") / "t.csv"
    path.write_text(content)
    with pytest.raises(VaelineError, match=sentence):
        read_picture_table(path)


def test_groups_are_a_part_of_the_path_or_a_column(lay):
    folder = lay("a/p1_1.png", "a/p1_2.png", "b/p2_1.png")
    assert find_picture_files(folder, r"(p\d+)_").groups == ("p1", "p1", "p2")
    assert find_picture_files(folder, "^([ab])/").groups == ("a", "a", "b")
    table = folder / "t.csv"
    table.write_text("path,label,Person\na/p1_1.png,x,7\nb/p2_1.png,y,07\n")
    assert read_picture_table(table, "person").groups == ("7", "07")
    assert read_picture_table(table, r"_(\d)\.png$").groups == ("1", "1")
    assert read_picture_table(table).groups is None


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ("(p", r"data\.groups '\(p' is no regular expression \("),
        ("p", "is no regular expression with one group, such as"),
        ("(p)(_)", "is no regular expression with one group"),
        ("(q)", r"finds no group in the name 'a/p1\.png'"),
        ("(q?)", r"finds no group in the name 'a/p1\.png'"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused_in_one_sentence(lay, groups, sentence):
    with pytest.raises(VaelineError, match=sentence):
        find_picture_files(lay("a/p1.png"), groups)


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ("persn", r"'persn' is no column \(path, person\) and no regular expression with one group"),
        ("person", "rows without a path, a label, a split or a group"),
    ],
)
def test_a_column_that_does_not_fit_is_refused_in_one_sentence(lay, groups, sentence):
    table = lay("1.png") / "t.csv"
    table.write_text("path,person\n1.png,\n")
    with pytest.raises(VaelineError, match=sentence):
        read_picture_table(table, groups)


def test_classes_are_sorted_as_people_count():
    names = ["class 10", "class 9", "b", "10", "9", "5²"]
    assert sorted(names, key=natural_order) == ["5²", "9", "10", "b", "class 9", "class 10"]
