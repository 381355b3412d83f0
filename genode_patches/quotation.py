"""What a quotation of Genode is, and how one is found without Genode's sources

A line quotes Genode if the file that it is added to has the same line, whatever the white space, and if
it is more than vocabulary: it has four words, or forms a pair with the line before that the file
has, too. A file of ours is compared with the files that the series deletes. Lines with
`#include` are vocabulary.

`elide`, which has Genode's sources, records fingerprints of all such lines and pairs. They do not
tell the text.
"""

import hashlib
import os
import re

from series import Refused, lines_of, plain_file

WORDS = 4                               # `throw Root::Unavailable();` has three
FILE = 'fingerprints'                   # in the folder of a series


def passages(lines):
    """Text and fingerprint of each line or pair of lines that is more than vocabulary."""
    before = b''
    for line in lines:
        line = b' '.join(line.split())
        words = 0 if line.startswith(b'#include') else len(re.findall(rb'[A-Za-z_]\w*', line))
        short = 0 < words < WORDS
        if words >= WORDS or short and before:
            passage = before + b'\n' + line if short else line
            yield passage, hashlib.sha1(passage).hexdigest()[:8]
        before = line if short else b''


def fingerprints(repository, base, patches):
    """Path to fingerprints, for each file of Genode that the patches change."""
    paths = {os.fsdecode(change.path) for patch in patches for change in patch.changes
             if change.old_mode}
    return {path: {digest for _, digest in
                   passages(lines_of(repository.git('cat-file', 'blob', f'{base}:{path}')))}
            for path in paths}


def write(folder, prints):
    rows = ['\t'.join([path, *sorted(digests)]) + '\n' for path, digests in sorted(prints.items())]
    (folder / FILE).write_text(''.join(rows), encoding='utf-8', errors='surrogateescape')


def read(folder):
    try:
        rows = (folder / FILE).read_text(encoding='utf-8', errors='surrogateescape').split('\n')[:-1]
    except OSError as error:
        raise Refused(f'{folder.name}/{FILE}: {error.strerror} (made by genode_patches/elide)') from None
    return {path: set(digests) for path, *digests in (row.split('\t') for row in rows)}


def quotations(folder, patches):
    """What the patches and the files of ours quote, as messages."""
    prints = read(folder)
    changes = [(patch.name, change) for patch in patches for change in patch.changes]
    gone = set().union(*(prints.get(os.fsdecode(change.path), ()) for _, change in changes
                         if not change.new_mode))
    for name, change in changes:
        path = os.fsdecode(change.path)
        if not change.old_mode:
            file = plain_file(folder, change.path)
            texts, known = [lines_of(file.read_bytes())], gone
        elif path in prints:
            texts, known = [[line[1:] for line in hunk.added if line.startswith(b'+')]
                            for hunk in change.hunks], prints[path] | gone
        else:
            yield f'{folder.name}/{name}: {path} has no fingerprints: made by genode_patches/elide'
            continue
        for text in texts:
            for passage, digest in passages(text):
                if digest in known:
                    yield f'{folder.name}/{name}: {path} quotes: {passage.decode("utf-8", "replace")}'
