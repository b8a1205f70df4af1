"""What is said of each kind of hostile file, whole."""

import re

import pytest
from safetensors.numpy import save

import parity
from parity.files.formats import names_read, one_of
from tests.given import hostile, pickled

SAID = {
    "empty.pt": ("{} is empty: a download or a copy was cut off. Fetch it again."),
    "fragments-allocates-plain.pkl": (
        "{} cannot be read as a pickle: its pickle makes bytes out of something that"
        " is no text. Fetch or save it again."
    ),
    "fragments-append to none-plain.pkl": (
        "{} cannot be read as a pickle: its pickle adds elements to something that "
        "is no list. Fetch or save it again."
    ),
    "fragments-array of negative size-plain.pkl": (
        "{} cannot be read as a pickle: a tensor has -3 in its shape. Fetch or "
        "save it again."
    ),
    "fragments-array of no state-plain.pkl": (
        "{} cannot be read as a pickle: a NumPy array has no shape and type. "
        "Fetch or save it again."
    ),
    "fragments-array too large-plain.pkl": (
        "{} cannot be read as a pickle: a tensor of shape [1099511627776] needs "
        "1099511627776 elements and its storage has 3. Fetch or save it again."
    ),
    "fragments-array with no bytes-plain.pkl": (
        "{} cannot be read as a pickle: a NumPy array has no bytes. Fetch or "
        "save it again."
    ),
    "fragments-array with no type-plain.pkl": (
        "{} cannot be read as a pickle: a NumPy array has no type. Fetch or "
        "save it again."
    ),
    "fragments-buffer-plain.pkl": (
        "{} cannot be read as a pickle: its pickle has the instruction "
        "NEXT_BUFFER, which no checkpoint needs. Do not use it, unless you know "
        "who made it."
    ),
    "fragments-bytes-plain.pkl": (
        "{} cannot be read as a pickle: its pickle is damaged. Fetch or save it again."
    ),
    "fragments-calls a number-plain.pkl": (
        "{} cannot be read as a pickle: its pickle calls something that is no class."
        " Fetch or save it again."
    ),
    "fragments-class named by a number-plain.pkl": (
        "{} cannot be read as a pickle: its pickle names a class by something other "
        "than text. Fetch or save it again."
    ),
    "fragments-deep keys-plain.pkl": (
        "{} cannot be read as a pickle: its pickle has a key that is neither "
        "name nor number. Fetch or save it again."
    ),
    "fragments-deep lists-plain.pkl": (
        "{} cannot be read as a pickle: it is nested more than 100 deep. Fetch "
        "or save it again."
    ),
    "fragments-encodes-plain.pkl": (
        "{} cannot be read as a pickle: its pickle builds much more than it "
        "holds. Fetch or save it again."
    ),
    "fragments-entries of none-plain.pkl": (
        "{} cannot be read as a pickle: its pickle puts entries into something that "
        "is no dictionary. Fetch or save it again."
    ),
    "fragments-getattr-plain.pkl": (
        "{} cannot be read as a pickle: its pickle would call builtins.getattr, "
        "which can run a program. Do not open it with anything else, and ask "
        "who made it."
    ),
    "fragments-key twice-plain.pkl": (
        "{} cannot be read as a pickle: its pickle has the key 'a' twice. Fetch "
        "or save it again."
    ),
    "fragments-laughs-plain.pkl": (
        "{} cannot be read as a pickle: it has more than 1000000 entries, or "
        "endless names. Save only the weights."
    ),
    "fragments-no mark-plain.pkl": (
        "{} cannot be read as a pickle: its pickle has no mark where it needs "
        "one. Fetch or save it again."
    ),
    "fragments-no such memo-plain.pkl": (
        "{} cannot be read as a pickle: its pickle takes something from its memo "
        "that is not there. Fetch or save it again."
    ),
    "fragments-number of letters-plain.pkl": (
        "{} cannot be read as a pickle: its pickle is damaged. Fetch or save it again."
    ),
    "fragments-old file of no torch-plain.pkl": (
        "{} cannot be read as a pickle: its pickle holds bytes that are no old "
        "torch file. Fetch or save it again."
    ),
    "fragments-persistent-new.pt": (
        "{} cannot be read as a torch file: its pickle refers to something that is "
        "no storage. Fetch or save it again."
    ),
    "fragments-persistent-plain.pkl": (
        "{} cannot be read as a pickle: its pickle refers to bytes outside of "
        "it. Fetch or save it again."
    ),
    "fragments-read-only buffer-plain.pkl": (
        "{} cannot be read as a pickle: its pickle has the instruction "
        "READONLY_BUFFER, which no checkpoint needs. Do not use it, unless you "
        "know who made it."
    ),
    "fragments-too few-plain.pkl": (
        "{} cannot be read as a pickle: its pickle calls a class without a "
        "tuple. Fetch or save it again."
    ),
    "indexes-index-0.json": (
        "{} cannot be read as an index of several files: its index names the file "
        "'../x.safetensors', which is not beside it. Put all files in one "
        "directory."
    ),
    "indexes-index-13.json": (
        "{} must have 'none.safetensors' beside it: it is an index, and the tensors "
        "are there. Fetch these files, too."
    ),
    "indexes-index-text-0.json": (
        "{} cannot be read as an index of several files: its JSON has no "
        "`weight_map`, names to files. Fetch or save it again."
    ),
    "indexes-index-text-4.json": (
        "{} cannot be read as an index of several files: its index is no JSON. Fetch"
        " or save it again."
    ),
    "indexes-index-text-5.json": (
        "{} cannot be read as an index of several files: 'good.safetensors' has no "
        "'not.there', which the index promises. Fetch or save it again."
    ),
    "indexes-index-text-6.json": (
        "{} cannot be read as an index of several files: its index is nested too "
        "deep. Fetch or save it again."
    ),
    "indexes-large.json": (
        "{} cannot be read as an index of several files: its index has more than "
        "16777216 bytes. Fetch or save it again."
    ),
    "msgpacks-chunked.msgpack": (
        "{} cannot be read as msgpack: an array in parts has no shape or no "
        "parts. Fetch or save it again."
    ),
    "msgpacks-shape-2.msgpack": (
        "{} cannot be read as msgpack: an array of shape [39] has 160 bytes. "
        "Fetch or save it again."
    ),
    "msgpacks-shape-6.msgpack": (
        "{} cannot be read as msgpack: an array has no shape, type and bytes. "
        "Fetch or save it again."
    ),
    "msgpacks-shape-9.msgpack": (
        "{} cannot be read as msgpack: its msgpack is damaged, or cut off. "
        "Fetch or save it again."
    ),
    "msgpacks-twice.msgpack": (
        "{} cannot be read as msgpack: it has the name 'a' twice. Fetch or save it "
        "again."
    ),
    "names-collides.pkl": (
        "{} cannot be read as a pickle: two tensors have the name "
        "'lstm.weight_ih_l0'. Save it again, with names that differ."
    ),
    "old-count-1.pt": (
        "{} cannot be read as an old torch file: a storage has -1 elements. "
        "Fetch or save it again."
    ),
    "old-version.pt": (
        "{} cannot be read as an old torch file: its version is 7, not 1001. "
        "Fetch or save it again."
    ),
    "old-view-2.pt": (
        "{} cannot be read as an old torch file: a view of a storage is not in "
        "it. Fetch or save it again."
    ),
    "other-2.pt": (
        "{} must be a file of weights that is read here: it is bzip2. Unpack it "
        "with bunzip2 first."
    ),
    "safetensors-json-0.safetensors": (
        "{} cannot be read as safetensors: its header is no JSON object. Fetch "
        "or save it again."
    ),
    "safetensors-json-13.safetensors": (
        "{} cannot be read as safetensors: it has the name 'lstm.weight_ih_l0' "
        "twice. Fetch or save it again."
    ),
    "safetensors-length-0.safetensors": (
        "{} cannot be read as safetensors: its header is no JSON. Fetch or save "
        "it again."
    ),
    "safetensors-length-10000000000000.safetensors": (
        "{} cannot be read as safetensors: its header would have 10000000000000 "
        "bytes, and the file has 332. Fetch or save it again."
    ),
    "safetensors-not-text.safetensors": (
        "{} cannot be read as safetensors: its header is no JSON. Fetch or save "
        "it again."
    ),
    "safetensors-offsets-0.safetensors": (
        "{} cannot be read as safetensors: its tensors need 161 bytes and it "
        "has 160. Fetch or save it again."
    ),
    "safetensors-offsets-1.safetensors": (
        "{} cannot be read as safetensors: its tensors overlap, or leave bytes "
        "between them. Fetch or save it again."
    ),
    "safetensors-offsets-2.safetensors": (
        "{} cannot be read as safetensors: 'lstm.weight_hh_l0' has no place in "
        "its header. Fetch or save it again."
    ),
    "tensors-offset-huge-new.pt": (
        "{} cannot be read as a torch file: a tensor of shape [8, 2] needs "
        "10000000000016 elements and its storage has 40. Fetch or save it "
        "again."
    ),
    "tensors-offset-negative-new.pt": (
        "{} cannot be read as a torch file: a tensor has -1 in its offset. "
        "Fetch or save it again."
    ),
    "tensors-size-huge-new.pt": (
        "{} cannot be read as a torch file: a tensor's shape [1099511627776, "
        "1099511627776] is too large. Fetch or save it again."
    ),
    "tensors-size-none-new.pt": (
        "{} cannot be read as a torch file: a tensor's shape is no tuple. Fetch "
        "or save it again."
    ),
    "tensors-size-of-many-axes-new.pt": (
        "{} cannot be read as a torch file: a tensor has 99 axes and 99 "
        "strides. Fetch or save it again."
    ),
    "tensors-storage-missing-new.pt": (
        "{} cannot be read as a torch file: its archive has no member "
        "'a/data/7'. Fetch or save it again."
    ),
    "tensors-storage-missing-old.pt": (
        "{} cannot be read as an old torch file: its storage '7' is not there. "
        "Fetch or save it again."
    ),
    "tensors-storage-of-a-class-old.pt": (
        "{} cannot be read as an old torch file: its pickle refers to a storage "
        "of an unknown type. Fetch or save it again."
    ),
    "tensors-stride-huge-new.pt": (
        "{} cannot be read as a torch file: a tensor has 1152921504606846976 in "
        "its strides. Fetch or save it again."
    ),
    "tensors-stride-negative-new.pt": (
        "{} cannot be read as a torch file: a tensor has -1 in its strides. "
        "Fetch or save it again."
    ),
    "zeros.pt": (
        "{} must be a file of weights ({formats}): it starts with the bytes 00 00 00"
        " 00, unlike any of these. Fetch it again, or give another file."
    ),
    "zips-bomb.pt": (
        "{} cannot be read as a torch file: its archive unpacks to more than 20 "
        "times its size. Unpack and look at it yourself, if you trust who made "
        "it."
    ),
    "zips-climbs-4.pt": (
        "{} cannot be read as a file of weights: its archive has the member "
        "'../x', outside of itself. Do not unpack it, and ask who made it."
    ),
    "zips-directory-at.pt": (
        "{} cannot be read as a torch file: the member 'a/data/0' has no "
        "header. Fetch or save it again."
    ),
    "zips-directory-flags.pt": (
        "{} cannot be read as a torch file: its archive is encrypted. Decrypt it first."
    ),
    "zips-directory-method.pt": (
        "{} cannot be read as a torch file: its archive is damaged. Fetch or "
        "save it again."
    ),
    "zips-directory-size.pt": (
        "{} cannot be read as a torch file: the member 'a/data/0' is cut off. "
        "Fetch or save it again."
    ),
    "zips-empty.pt": (
        "{} must be a file of weights ({formats}): it is an archive of nothing, "
        "unlike any of these. Unpack it, and give the file of weights in it."
    ),
    "zips-header-1.npz": (
        "{} cannot be read as npz: its array 'x.npy' has no header of NumPy's. "
        "Fetch or save it again."
    ),
    "zips-header-3.npz": (
        "{} cannot be read as npz: 'x.npy' of shape [39] needs 156 bytes and "
        "has 160. Fetch or save it again."
    ),
    "zips-none.pt": (
        "{} must be a file of weights ({formats}): it is an archive of a/data/0, "
        "unlike any of these. Unpack it, and give the file of weights in it."
    ),
    "zips-old-script.pt": (
        "{} must be a file of weights that is read here: it is TorchScript from"
        " before torch 1.4. Save it with a newer torch."
    ),
    "zips-order.pt": (
        "{} cannot be read as a torch file: its byte order is b'middle'. Fetch "
        "or save it again."
    ),
    "zips-shared.pt": (
        "{} cannot be read as a torch file: its tensors share bytes, and are "
        "12000000 bytes out of a file of 76162. Save a .clone() of each tensor."
    ),
    "zips-twice.pt": (
        "{} cannot be read as a file of weights: its archive has the member "
        "'a/data/0' twice. Fetch or save it again."
    ),
    "zips-two.pt": (
        "{} must be a file of weights ({formats}): it is an archive of a/data.pkl, "
        "b/data.pkl, unlike any of these. Unpack it, and give the file of weights in"
        " it."
    ),
}
# What Python's own readers say of where they stopped differs between its versions.
ELSEWHERE = re.compile(
    r" \((?=[^()]*(line|codec|literal|expected|compression|stream)).*?\)+(?=\. )"
)
FORMATS = one_of(names_read())


@pytest.fixture(scope="module")
def files():
    return dict(hostile.made("canary", 3))


@pytest.mark.usefixtures("no_jaxtyping")
@pytest.mark.parametrize("name", SAID)
def test_each_kind_of_file_has_its_sentence(name, files, tmp_path):
    _ = (tmp_path / "good.safetensors").write_bytes(save(pickled.TENSORS))
    path = tmp_path / re.sub(r"[^\w.-]", "_", name)
    _ = path.write_bytes(files[name])
    with pytest.raises((ValueError, OSError)) as caught:
        _ = parity.read_tensors(path)
    said = ELSEWHERE.sub("", str(caught.value))
    assert said == SAID[name].format(path, dir=tmp_path, formats=FORMATS)
