"""Each codec on each carrier, between two instances; the matrix is printed (pytest -s)."""
import pytest

import carriers
import osiris

CODECS = ["json", "protobuf", "yaml"]
DOCUMENTS = ["text", "ñandú 中文 🦀", {"a": [1, 2.5, None, True], "b": {"c": ""}}, "x" * 300000, "no", "0x1F", ""]


def is_carried(make_daemon, folder, url, codec):
    """What either writes is at both, whatever the codec has to do to it."""
    names = f"{codec}-one", f"{codec}-two"
    carriers.share_key(*(folder / name for name in names))
    one = make_daemon(names[0], listen=[url]).start()
    two = make_daemon(names[1], peers=[f"{url}&codec={codec}"]).start()
    for i, data in enumerate(DOCUMENTS):
        (one, two)[i % 2].put(data)
    count = osiris.wait_until_equal(one, two)
    found = [document["data"] for document in two.documents()]
    one.stop()
    two.stop()
    return count == len(DOCUMENTS) and all(data in found for data in DOCUMENTS)


# Links speak protobuf alone where it is not said otherwise; all three codecs carry them.
@pytest.mark.parametrize("link", carriers.LINKS)
def test_codecs(make_daemon, folder, link):
    with carriers.link(link, folder) as carrier:
        row = {codec: is_carried(make_daemon, folder, carrier.url, codec) for codec in CODECS}
    print(f"\n{link:6}" + "".join(f"  {codec}: {'yes' if row[codec] else 'NO'}" for codec in CODECS))
    assert all(row.values()), row
