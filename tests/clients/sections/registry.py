"""The model registry by `MlflowClient`."""

from __future__ import annotations

from mlflow.tracking import MlflowClient

from report import VERSION


def registry(report):
    """The model registry by `MlflowClient`."""
    client = MlflowClient()
    check = report.check
    check("create", client.create_registered_model, "reg", {"team": "red"}, "A model.")
    check("duplicate", client.create_registered_model, "reg")
    strict = VERSION >= (2, 0)  # servers before that take all sorts of names and places
    for name in ("", " ", "a/b", "a:b", "ü", "x" * 256, "with space", ".") if strict else ("with space",):
        check("create {!r}".format(name[:20]), client.create_registered_model, name)
    check("get", client.get_registered_model, "reg")
    check("missing", client.get_registered_model, "nothing")
    check("get empty", client.get_registered_model, "")
    check("update", client.update_registered_model, "reg", "Another text.")
    check("update missing", client.update_registered_model, "nothing", "x")
    check("tag", client.set_registered_model_tag, "reg", "owner", "Ada")
    check("tag again", client.set_registered_model_tag, "reg", "owner", "Bob")
    check("tag missing", client.set_registered_model_tag, "nothing", "owner", "Ada")
    check("tag too long", client.set_registered_model_tag, "reg", "k" * 251, "x")
    check("tag long", client.set_registered_model_tag, "reg", "long", "v" * 5000)
    check("tag value too long", client.set_registered_model_tag, "reg", "too long", "v" * 100001)
    check("untag", client.delete_registered_model_tag, "reg", "long")
    check("untag again", client.delete_registered_model_tag, "reg", "long")
    check("untag missing", client.delete_registered_model_tag, "nothing", "long")
    experiment = report.name(client.create_experiment("registry"), "experiment registry")
    run = client.create_run(experiment)
    run_id = report.name(run.info.run_id, "run registry")
    source = run.info.artifact_uri + "/model"
    extra = {"await_creation_for": 0}
    for number in range(1, 5):
        extra.update({"tags": {"n": str(number)}, "description": "number {}".format(number)})
        check("version {}".format(number), client.create_model_version, "reg", source, run_id, **extra)
    check(
        "version without run",
        client.create_model_version,
        "with space",
        "s3://bucket/x",
        await_creation_for=0,
    )
    check(
        "version with link",
        client.create_model_version,
        "with space",
        "s3://bucket/x",
        run_link="http://x/y",
        await_creation_for=0,
    )
    check("version of no model", client.create_model_version, "nothing", source, run_id, await_creation_for=0)
    if strict:
        check("version of no run", client.create_model_version, "reg", source, "0" * 32, await_creation_for=0)
        check("version of a local path", client.create_model_version, "reg", "/etc", await_creation_for=0)
        check(
            "version of a local uri", client.create_model_version, "reg", "file:///etc", await_creation_for=0
        )
        check(
            "version outside its run",
            client.create_model_version,
            "reg",
            "/etc",
            run_id,
            await_creation_for=0,
        )
        check(
            "version with dots", client.create_model_version, "reg", "s3://bucket/../x", await_creation_for=0
        )
        check("version with empty source", client.create_model_version, "reg", "", await_creation_for=0)
    check("get version", client.get_model_version, "reg", "1")
    check("missing version", client.get_model_version, "reg", "99")
    check("strange version", client.get_model_version, "reg", "one")
    check("version 0", client.get_model_version, "reg", "0")
    check("describe", client.update_model_version, "reg", "1", "described")
    check("describe missing", client.update_model_version, "reg", "99", "described")
    check("download uri", client.get_model_version_download_uri, "with space", "1")
    check("download uri missing", client.get_model_version_download_uri, "reg", "99")
    check("stage", client.transition_model_version_stage, "reg", "1", "Staging")
    check("stage lower", client.transition_model_version_stage, "reg", "2", "staging")
    check("stage archive", client.transition_model_version_stage, "reg", "3", "Staging", True)
    check("archived", client.get_model_version, "reg", "1")
    check("stage production", client.transition_model_version_stage, "reg", "2", "Production")
    check("stage none", client.transition_model_version_stage, "reg", "3", "None")
    check("stage unknown", client.transition_model_version_stage, "reg", "3", "Moon")
    check("stage wrong archive", client.transition_model_version_stage, "reg", "3", "None", True)
    check("stage missing", client.transition_model_version_stage, "reg", "99", "Staging")
    latest = lambda *arguments: [[v.version, v.current_stage] for v in client.get_latest_versions(*arguments)]  # noqa: E731
    check("latest", lambda: sorted(latest("reg")))
    check("latest production", latest, "reg", ["Production"])
    check("latest any case", latest, "reg", ["production"])
    check("latest unknown", latest, "reg", ["Moon"])
    check("latest missing", latest, "nothing")
    check("version tag", client.set_model_version_tag, "reg", "1", "checked", "yes")
    check("version tag missing", client.set_model_version_tag, "reg", "99", "checked", "yes")
    check("version tag too long", client.set_model_version_tag, "reg", "1", "k" * 251, "yes")
    check("tagged", client.get_model_version, "reg", "1")
    check("untag version", client.delete_model_version_tag, "reg", "1", "checked")
    check("untag version again", client.delete_model_version_tag, "reg", "1", "checked")
    check("untag version missing", client.delete_model_version_tag, "reg", "99", "checked")
    if VERSION >= (2, 0):
        check("version tag by stage", client.set_model_version_tag, "reg", None, "key", "value", "Production")
    if hasattr(client, "set_registered_model_alias"):
        check("alias", client.set_registered_model_alias, "reg", "champion", "1")
        check("alias moves", client.set_registered_model_alias, "reg", "champion", "2")
        check("alias two", client.set_registered_model_alias, "reg", "Second", "2")
        check("alias missing version", client.set_registered_model_alias, "reg", "x", "99")
        check("alias missing model", client.set_registered_model_alias, "nothing", "x", "1")
        for alias in ("", "v1", "V12", "latest", "Latest", "a b", "a/b", "1", "x" * 256, "a-b_c.d"):
            check("alias {!r}".format(alias[:10]), client.set_registered_model_alias, "reg", alias, "1")
        check("by alias", client.get_model_version_by_alias, "reg", "champion")
        check("by alias in another case", client.get_model_version_by_alias, "reg", "second")
        check("by missing alias", client.get_model_version_by_alias, "reg", "nobody")
        check("by latest", client.get_model_version_by_alias, "reg", "latest")
        check("unalias", client.delete_registered_model_alias, "reg", "a-b_c.d")
        check("unalias again", client.delete_registered_model_alias, "reg", "a-b_c.d")
        check("unalias missing model", client.delete_registered_model_alias, "nothing", "x")
        check("with aliases", client.get_registered_model, "reg")
        check("version with aliases", client.get_model_version, "reg", "2")
    _search_registry(report, client, run_id)
    check("rename", client.rename_registered_model, "reg", "renamed")
    check("rename to itself", client.rename_registered_model, "renamed", "renamed")
    check("rename missing", client.rename_registered_model, "reg", "renamed")
    check("rename to existing", client.rename_registered_model, "renamed", "with space")
    if strict:
        check("rename to bad", client.rename_registered_model, "renamed", "a/b")
    check("old name", client.get_registered_model, "reg")
    check(
        "versions after rename",
        lambda: sorted(str(v.version) for v in client.search_model_versions("name='renamed'")),
    )
    check("renamed", client.get_registered_model, "renamed")
    check("delete version", client.delete_model_version, "renamed", "2")
    check("delete version again", client.delete_model_version, "renamed", "2")
    check("deleted version", client.get_model_version, "renamed", "2")
    check("after version deletion", client.get_registered_model, "renamed")
    check("delete last version", client.delete_model_version, "renamed", "4")
    check(
        "next version",
        lambda: client.create_model_version("renamed", "s3://b/y", await_creation_for=0).version,
    )
    check("delete", client.delete_registered_model, "renamed")
    check("delete again", client.delete_registered_model, "renamed")
    check("deleted", client.get_registered_model, "renamed")
    check("version of deleted", client.get_model_version, "renamed", "1")
    check("create again", client.create_registered_model, "renamed")
    check(
        "first version again",
        lambda: client.create_model_version("renamed", "s3://b/y", await_creation_for=0).version,
    )


def _search_registry(report, client, run_id):
    check = report.check
    for number in range(4):
        client.create_registered_model(
            "Model {}".format(number), tags={"n": str(number), "even": str(number % 2 == 0)}
        )
    names = lambda *arguments, **options: [
        each.name for each in client.search_registered_models(*arguments, **options)
    ]  # noqa: E731
    check("models", names)
    filters = [
        "name = 'Model 1'",
        "name LIKE 'Model%'",
        "name ILIKE 'model%'",
        "name LIKE 'model%'",
        "nothing = 'x'",
        "name > 'a'",
        "name = ''",
    ]
    if VERSION >= (2, 0):
        filters += [
            "name != 'reg'",
            "tags.n = '2'",
            "tag.even = 'True' and name LIKE 'Model%'",
            "tags.n != '2'",
            "tags.n LIKE '%'",
            "tags.nothing = 'x'",
            "tags.n > '1'",
            "attribute.name = 'reg'",
            "name IN ('reg')",
            "name = 'reg' or name = 'x'",
        ]
    for text in filters:
        check("models {}".format(text), names, text)
    if VERSION >= (1, 13):
        for order in (
            ["name DESC"],
            ["name ASC"],
            ["timestamp", "name"],
            ["last_updated_timestamp", "name DESC"],
            ["nothing"],
            ["name UP"],
            ["name", "name DESC"],
        ):
            options = {"order_by": order, "max_results": 3}
            if VERSION >= (2, 0):
                check("models by {}".format(order), names, "name LIKE 'Model%'", **options)
        page = client.search_registered_models("name LIKE 'Model%'", max_results=3)
        report.add("model page 1", [[each.name for each in page], bool(page.token)])
        page = client.search_registered_models("name LIKE 'Model%'", max_results=3, page_token=page.token)
        report.add("model page 2", [[each.name for each in page], bool(page.token)])
        check("models max 0", names, max_results=0)
        check("models max too big", names, max_results=1001)
        check("models bad token", names, page_token="nonsense")
    versions = lambda *arguments, **options: [
        [v.name, str(v.version)] for v in client.search_model_versions(*arguments, **options)
    ]  # noqa: E731
    filters = [
        "name = 'reg'",
        "run_id = '{}'".format(run_id),
        "name = 'nothing'",
        "run_id = ''",
        "source_path = 's3://bucket/x'",
        "nothing = 'x'",
    ]
    if VERSION >= (2, 0):
        filters += [
            "",
            "name LIKE 'r%'",
            "name ILIKE 'R%'",
            "name != 'reg'",
            "name = 'reg' and run_id = '{}'".format(run_id),
            "version_number = 2",
            "version_number > 2 and name = 'reg'",
            "version_number < 'x'",
            "tags.n = '3'",
            "tags.n != '3'",
            "tags.key = 'value'",
            "run_id IN ('{}', 'x')".format(run_id),
            "source_path LIKE 's3:%'",
            "name IN ('reg')",
            "run_id LIKE 'x'",
            "tags.n > '3'",
            "tags.n = '1' or tags.n = '2'",
            "creation_timestamp > 0",
        ]
    for text in filters:
        check("versions {}".format(text), lambda: sorted(versions(text)))
    if VERSION >= (2, 0):
        for order in (
            ["version_number"],
            ["version_number DESC"],
            ["name DESC", "version_number ASC"],
            ["creation_timestamp", "name", "version_number"],
            ["nothing"],
            ["name", "name"],
        ):
            check("versions by {}".format(order), versions, "name LIKE '%'", order_by=order)
        page = client.search_model_versions("name = 'reg'", max_results=3, order_by=["version_number"])
        report.add("version page 1", [[v.version for v in page], bool(page.token)])
        page = client.search_model_versions(
            "name = 'reg'", max_results=3, order_by=["version_number"], page_token=page.token
        )
        report.add("version page 2", [[v.version for v in page], bool(page.token)])
        check("versions max 0", versions, max_results=0)
        check("versions max too big", versions, max_results=200001)
        check("versions bad token", versions, page_token="nonsense")
    found = client.search_model_versions("name = 'with space'")
    report.add("found version", min(found, key=lambda version: int(version.version)))
