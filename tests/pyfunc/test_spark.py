"""The packaged model as a function of Spark."""

import shutil
import sys

import mlflow
import numpy as np
import pytest

from vaeline.archive import save_archive
from vaeline.pyfunc.package import package_pyfunc

sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed; `make test-spark` installs it")

pytestmark = [
    pytest.mark.usefixtures("training", "processes"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


@pytest.fixture
def spark(monkeypatch):
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)  # else Spark takes the first Python on the PATH
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def test_spark_gives_the_answers_of_the_packaged_model(spark, small_model, greys, tmp_path):
    save_archive(small_model, tmp_path / "model.keras")
    package_pyfunc(tmp_path / "model.keras", tmp_path / "package")
    rows = [(row, image.ravel().tolist()) for row, image in enumerate(greys)]
    table = spark.createDataFrame(rows, "row long, image array<float>")
    function = mlflow.pyfunc.spark_udf(
        spark,
        str(tmp_path / "package"),
        result_type="z_mean array<double>, z_log_var array<double>",
        env_manager="local",
        params={"mode": "encode"},
    )
    found = table.select("row", function("image").alias("answer")).orderBy("row").collect()
    expected = mlflow.pyfunc.load_model(str(tmp_path / "package")).predict(greys, params={"mode": "encode"})
    assert [row.row for row in found] == list(range(len(greys)))
    for name in ("z_mean", "z_log_var"):
        np.testing.assert_allclose([row.answer[name] for row in found], expected[name], atol=1e-5)
