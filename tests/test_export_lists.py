"""Block lists, STIX and MISP: what is listed, and that their own libraries read it."""

import json

import pandas as pd
import pytest

import linkage
from linkage import export
from linkage.cli.main import main
from linkage.errors import InputError

stix2 = pytest.importorskip("stix2", reason="stix2 is not installed (extra dev)")


@pytest.fixture
def result(ring):
    return linkage.link(observations=ring)


def list_all(result, **options):
    return export.list_indicators(result.clusters, result.members, result.evidence, **options)


def test_an_address_that_others_share_is_no_indicator(result):
    listed, left_out = list_all(result)
    assert set(listed.loc[listed["type"] == "identifier", "value"]) == {"phone"}
    assert left_out["n"].sum() == 2


def test_payment_data_comes_only_when_asked_for(result):
    listed, _ = list_all(result, payment=True, max_outside=1.0)
    assert set(listed.loc[listed["type"] == "identifier", "value"]) == {
        "phone", "card", "192.0.2.1"}  # fmt: skip


def test_issuers_of_cards_leave_with_payment_data_only(result):
    issued = result.evidence.assign(kind="bin", family="issuer", value="400000")
    evidence = pd.concat([result.evidence, issued], ignore_index=True)
    for payment in (False, True):
        listed, _ = export.list_indicators(
            result.clusters, result.members, evidence, payment=payment, max_outside=1.0
        )
        assert ("400000" in set(listed["value"])) == payment


def test_accounts_that_are_not_sure_are_left_out(result):
    members = result.members.assign(probability=[0.5] + [0.99] * 8)
    listed, _ = export.list_indicators(result.clusters, members, result.evidence)
    assert (listed["type"] == "account").sum() == 8


def test_only_operators_are_listed_unless_named(result):
    open_case = result.clusters.assign(tier="coordinated")
    with pytest.raises(InputError, match="name the clusters that you judged"):
        export.list_indicators(open_case, result.members, result.evidence)
    listed, _ = export.list_indicators(open_case, result.members, result.evidence, [1])
    assert (listed["type"] == "account").sum() == 9


@pytest.mark.parametrize("bad", [-0.1, 1.1])
def test_shares_lie_between_0_and_1(result, bad):
    with pytest.raises(InputError, match="max_outside must lie between 0 and 1"):
        list_all(result, max_outside=bad)


def test_stix2_reads_the_bundle(result, tmp_path):
    listed, _ = list_all(result, max_outside=1.0)
    path = export.write_stix(result.clusters, listed, tmp_path / "b.json", tlp="green")
    bundle = stix2.parse(path.read_text(), allow_custom=False)
    kinds = pd.Series([entry["type"] for entry in bundle.objects]).value_counts()
    assert kinds["intrusion-set"] == kinds["infrastructure"] == kinds["grouping"] == 1
    assert kinds["user-account"] == 9
    actor = next(entry for entry in bundle.objects if entry["type"] == "intrusion-set")
    assert actor["confidence"] == round(100 * result.clusters["confidence"].iloc[0])
    marked = {ref for entry in bundle.objects for ref in entry.get("object_marking_refs", [])}
    assert marked == {stix2.TLP_GREEN["id"]}


def test_observables_have_the_ids_of_the_standard(result):
    listed, _ = list_all(result, max_outside=1.0)
    made = {entry["id"] for entry in export.build_stix(result.clusters, listed)["objects"]}
    assert stix2.v21.IPv4Address(value="192.0.2.1")["id"] in made
    assert stix2.v21.UserAccount(user_id="ring0")["id"] in made


def test_every_reference_of_the_bundle_is_in_it(result):
    listed, _ = list_all(result, max_outside=1.0)
    objects = export.build_stix(result.clusters, listed)["objects"]
    ids = {entry["id"] for entry in objects}
    named = {ref for entry in objects for key, value in entry.items()
             if key.endswith(("_ref", "_refs")) for ref in ([value] if isinstance(value, str)
                                                            else value)}  # fmt: skip
    assert named <= ids
    assert len(ids) == len(objects)


def test_the_same_case_gives_the_same_bytes(result, tmp_path):
    listed, _ = list_all(result)
    for write in (export.write_stix, export.write_misp):
        once = write(result.clusters, listed, tmp_path / "1.json").read_bytes()
        assert write(result.clusters, listed, tmp_path / "2.json").read_bytes() == once


def test_an_unknown_marking_is_refused(result):
    with pytest.raises(InputError, match="tlp must be one of"):
        export.build_stix(result.clusters, list_all(result)[0], tlp="pink")


def test_pymisp_reads_the_event(result, tmp_path):
    pymisp = pytest.importorskip("pymisp", reason="pymisp is not installed (extra dev)")
    listed, _ = list_all(result, max_outside=1.0)
    event = pymisp.MISPEvent()
    event.load_file(str(export.write_misp(result.clusters, listed, tmp_path / "m.json")))
    assert len(event.objects) == 9
    assert {entry.type: entry.value for entry in event.attributes} == {
        "ip-src": "192.0.2.1", "text": "phone"}  # fmt: skip
    assert [tag.name for tag in event.tags] == ["tlp:amber"]


def test_the_backbone_keeps_each_accounts_strongest(result):
    nodes, edges = result.graph_tables([1])
    _, kept = export.keep_strongest(nodes, edges, 1)
    best = edges.groupby("source")["bits"].max()
    assert kept.set_index("source")["bits"].to_dict() == best.to_dict()


@pytest.mark.parametrize("kind", ["blocklist", "stix", "misp"])
def test_the_command_writes_lists(result, tmp_path, capsys, kind):
    linkage.write_case(result, tmp_path / "case")
    out = tmp_path / "list.json"
    assert main(["export", str(tmp_path / "case"), "--format", kind, "--out", str(out)]) == 0
    assert "9 accounts, 1 identifiers of 1 clusters" in capsys.readouterr().out
    assert json.loads(out.read_text())
