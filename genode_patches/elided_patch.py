"""The elided patch: a change to a text that the patch file does not quote

This docstring is the normative description of the format.

A patch file describes one commit. It looks like a mail of `git format-patch`, but of
the text it applies to it contains nothing: neither context nor removed lines. The
blob hash pins that text instead, so a patch applies to exactly one version of a file.

    From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
    From: NAME <MAIL>
    Date: Thu, 5 Mar 2026 12:00:00 +0100
    Subject: [PATCH] SUBJECT
    MIME-Version: 1.0
    Content-Type: text/plain; charset=UTF-8
    Content-Transfer-Encoding: 8bit

    BODY
    ---
    CHANGES
    --
    elided patch, format 1

(without the indentation, and with a space behind '--' as in every mail). Lines end in a
line feed; a carriage return is content.

Header  Names and subject are plain UTF-8, neither quoted nor encoded. A subject line
        of more than 76 characters is folded at a space: the continuation line begins
        with that space.

Body    May be empty, else neither begins nor ends with an empty line. A line that a mail
        tool, git or a checker could take for the end of the message (beginning with
        'From ', '---', 'diff ', 'Index: ' or '@@ ', behind any number of '>') gets one '>'
        in front, which reading takes away again. So the body ends at the first line '---'.

Change  Deletions come first; both groups are ordered by path and name it only once. A
        replaced type (file by symbolic link) is a deletion plus a new file, and so is a
        rename. MODE is 100644, 100755 or 120000.

            diff --git a/PATH b/PATH
            new file mode MODE | deleted file mode MODE | old mode MODE + new mode MODE
            index OLD..NEW [MODE]
            --- a/PATH            only if hunks follow; /dev/null for a new file
            +++ b/PATH

        The second line is absent if the mode stays, which the index line then ends with.
        OLD and NEW are full blob hashes (40 hex digits), zero for "no file", and always
        present: unlike git's, a mode change pins the content too. A deleted file has no
        hunks. PATH is UTF-8 without control characters, '"' and backslash, so it needs no
        quoting; if it contains a space, the '---' and '+++' lines end with a tab.

Hunk    @@ -OLD_START,OLD_COUNT +NEW_START,NEW_COUNT @@
        [\\ No newline at end of file]      the last removed line has none
        +LINE                              exactly NEW_COUNT of them
        [\\ No newline at end of file]      the last added line has none

        Zero context. Both counts are always written, and nothing follows the second '@@'.
        The OLD_COUNT removed lines are elided. As in git, a START counts from 1, and where
        its COUNT is 0 it names the line before.

There is exactly one way to write a patch: a file that differs from what `render` makes
of it is refused.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import List, NamedTuple, Optional

NO_BLOB = '0' * 40
NO_NEWLINE = b'\\ No newline at end of file'
MAIL_START = b'From ' + NO_BLOB.encode() + b' Mon Sep 17 00:00:00 2001'
MIME_HEADERS = (b'MIME-Version: 1.0',
                b'Content-Type: text/plain; charset=UTF-8',
                b'Content-Transfer-Encoding: 8bit')
MAIL_END = (b'-- ', b'elided patch, format 1')
DATE_FORMAT = '%a, %d %b %Y %H:%M:%S %z'

HASH = rb'([0-9a-f]{40})'
MODE = rb'(100644|100755|120000)'
FILE_MODE = rb'(100644|100755)'


class Refused(Exception):
    """The tool will not do it; the text says why."""


class Blob(NamedTuple):
    """What a tree says about a path."""
    mode: str
    hash: str


@dataclass
class Hunk:
    old_start: int
    old_count: int
    new_start: int
    new_count: int
    old_unterminated: bool = False      # the last removed line has no newline
    added: List[bytes] = field(default_factory=list)    # with their newlines

    def header(self) -> bytes:
        return b'@@ -%d,%d +%d,%d @@' % (self.old_start, self.old_count,
                                         self.new_start, self.new_count)


@dataclass
class Change:
    path: bytes
    old: Optional[Blob]                 # None: no such file before
    new: Optional[Blob]                 # None: deleted
    hunks: List[Hunk] = field(default_factory=list)


@dataclass
class Patch:
    author: str
    mail: str
    date: str                           # as in the mail header
    subject: str
    body: str                           # without the final newline
    changes: List[Change] = field(default_factory=list)


def printable(path: bytes) -> str:
    return path.decode('utf-8', 'backslashreplace')


def blob_hash(content: bytes) -> str:
    return hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()


def split_lines(content: bytes) -> List[bytes]:
    """Lines with their newlines; bytes.splitlines would also split at carriage returns."""
    return re.findall(rb'[^\n]*\n|[^\n]+', content)


def check_path(path: bytes) -> None:
    """Refuse paths that need quoting, leave the tree, or reach into git's own files."""
    try:
        path.decode('utf-8')
        unusual = re.search(rb'[\x00-\x1f\x7f"\\]', path)
    except UnicodeDecodeError:
        unusual = True
    if unusual:
        raise Refused(f'{printable(path)!r}: path with control character, quote, backslash '
                      'or invalid UTF-8')
    for part in path.split(b'/'):
        if part in (b'', b'.', b'..') or part.lower() == b'.git':
            raise Refused(f'{printable(path)!r}: not a path of the tree')


def mail_date(seconds: int, zone: str) -> str:
    """The date of a commit (seconds since 1970 plus '+0100') as mail header."""
    sign = -1 if zone[0] == '-' else 1
    offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    try:
        when = datetime.fromtimestamp(seconds, timezone(offset))
    except (ValueError, OverflowError) as error:
        raise Refused(f'date {seconds} {zone}: {error}') from None
    return f'{when:%a}, {when.day} {when:%b %Y %H:%M:%S} {zone}'


def commit_date(date: str) -> str:
    """The reverse of `mail_date`: 'SECONDS ZONE', as a commit object has it."""
    zone = date[-5:]
    try:
        seconds = int(datetime.strptime(date, DATE_FORMAT).timestamp())
        if seconds >= 0 and mail_date(seconds, zone) == date:
            return f'{seconds} {zone}'
    except ValueError:
        pass
    raise Refused(f'{date!r} is not a date like "Thu, 5 Mar 2026 12:00:00 +0100"')


# Writing

QUOTED = re.compile(r'>*(From |---|diff |Index: |@@ )')


def _fold(text: str) -> str:
    lines = []
    for word in text.split(' '):
        if not lines:
            lines.append(word)
        elif len(lines[-1]) + 1 + len(word) > 76:
            lines.append(' ' + word)
        else:
            lines[-1] += ' ' + word
    return '\n'.join(lines)


def _render_hunk(hunk: Hunk) -> List[bytes]:
    lines = [hunk.header()]
    if hunk.old_unterminated:
        lines.append(NO_NEWLINE)
    lines += [b'+' + line.rstrip(b'\n') for line in hunk.added]
    if hunk.added and not hunk.added[-1].endswith(b'\n'):
        lines.append(NO_NEWLINE)
    return lines


def _position(change: Change):
    """Deletions come first, so that a file may take the place of a folder or of itself."""
    return change.new is not None, change.path


def _file_lines(path: bytes, old: Optional[Blob]) -> List[bytes]:
    tab = b'\t' if b' ' in path else b''
    return [b'--- a/' + path + tab if old else b'--- /dev/null', b'+++ b/' + path + tab]


def _render_change(change: Change) -> List[bytes]:
    old, new, path = change.old, change.new, change.path
    lines = [b'diff --git a/' + path + b' b/' + path]
    index = f'index {old.hash if old else NO_BLOB}..{new.hash if new else NO_BLOB}'
    if old is None:
        lines.append(f'new file mode {new.mode}'.encode())
    elif new is None:
        lines.append(f'deleted file mode {old.mode}'.encode())
    elif old.mode != new.mode:
        lines += [f'old mode {old.mode}'.encode(), f'new mode {new.mode}'.encode()]
    else:
        index += f' {new.mode}'
    lines.append(index.encode())
    if change.hunks:
        lines += _file_lines(path, old)
    for hunk in change.hunks:
        lines += _render_hunk(hunk)
    return lines


def render(patch: Patch) -> bytes:
    """The one text that stands for `patch`."""
    lines = [MAIL_START,
             f'From: {patch.author} <{patch.mail}>'.encode(),
             f'Date: {patch.date}'.encode(),
             _fold(f'Subject: [PATCH] {patch.subject}').encode(),
             *MIME_HEADERS, b'']
    for line in patch.body.split('\n') if patch.body else []:
        lines.append(('>' + line if QUOTED.match(line) else line).encode())
    lines.append(b'---')
    for change in sorted(patch.changes, key=_position):
        lines += _render_change(change)
    return b'\n'.join([*lines, *MAIL_END, b''])


# Reading

class _Reader:
    """The lines of a patch file, taken one by one."""

    def __init__(self, text: bytes):
        if not text.endswith(b'\n'):
            raise Refused('the last line has no newline (truncated?)')
        self.lines = text.split(b'\n')[:-1]
        self.next = 0

    def peek(self) -> Optional[bytes]:
        return self.lines[self.next] if self.next < len(self.lines) else None

    def accept(self, pattern: bytes):
        """Take the next line if it matches as a whole."""
        line = self.peek()
        match = re.fullmatch(pattern, line) if line is not None else None
        if match:
            self.next += 1
        return match

    def take(self, pattern: bytes, what: str):
        match = self.accept(pattern)
        if not match:
            line = self.peek()
            found = 'the end (truncated?)' if line is None else repr(printable(line))
            raise Refused(f'line {self.next + 1}: expected {what}, found {found}')
        return match

    def take_exactly(self, line: bytes):
        self.take(re.escape(line), repr(printable(line)))


def _text(value: bytes) -> str:
    try:
        return value.decode('utf-8')
    except UnicodeDecodeError:
        raise Refused(f'{printable(value)!r} is not UTF-8') from None


def _parse_hunk(lines: _Reader, numbers) -> Hunk:
    hunk = Hunk(*(int(number) for number in numbers))
    hunk.old_unterminated = bool(lines.accept(re.escape(NO_NEWLINE)))
    for _ in range(hunk.new_count):
        line = lines.take(rb'\+(.*)', f"one of {hunk.new_count} lines with '+'")[1]
        hunk.added.append(line + b'\n')
    if hunk.added and lines.accept(re.escape(NO_NEWLINE)):
        hunk.added[-1] = hunk.added[-1][:-1]
    return hunk


def _parse_change(lines: _Reader) -> Change:
    path = lines.take(rb'diff --git a/(.+) b/\1', "'diff --git a/PATH b/PATH' or '-- '")[1]
    check_path(path)
    new_file = lines.accept(rb'new file mode ' + MODE)
    deleted = lines.accept(rb'deleted file mode ' + MODE)
    old_mode = lines.accept(rb'old mode ' + FILE_MODE)
    new_mode = old_mode and lines.take(rb'new mode ' + FILE_MODE, "'new mode'")
    index = lines.take(rb'index ' + HASH + rb'\.\.' + HASH + rb'(?: ' + MODE + rb')?',
                       'an index line with two full hashes')
    same_mode = index[3] or b''
    old = new = None
    if not new_file:
        mode = (deleted or old_mode or (None, same_mode))[1]
        old = Blob(mode.decode(), index[1].decode())
    if not deleted:
        mode = (new_file or new_mode or (None, same_mode))[1]
        new = Blob(mode.decode(), index[2].decode())
    change = Change(path, old, new)
    if new and lines.accept(rb'--- .*'):
        lines.take_exactly(_file_lines(path, old)[1])
        header = rb'@@ -(\d+),(\d+) \+(\d+),(\d+) @@'
        while not change.hunks or (lines.peek() or b'').startswith(b'@@'):
            match = lines.take(header, "'@@ -a,b +c,d @@' with nothing behind it")
            change.hunks.append(_parse_hunk(lines, match.groups()))
    return change


def parse(text: bytes) -> Patch:
    """Read a patch file; whatever `render` would not have written is refused."""
    lines = _Reader(text)
    lines.take_exactly(MAIL_START)
    author = lines.take(rb'From: (.+) <([^<>]*)>', "'From: NAME <MAIL>'")
    date = _text(lines.take(rb'Date: (.+)', "'Date:'")[1])
    commit_date(date)
    subject = lines.take(rb'Subject: \[PATCH\] (.+)', "'Subject: [PATCH] ...'")[1]
    continuation = lines.accept(rb' .*')
    while continuation:
        subject += continuation[0]
        continuation = lines.accept(rb' .*')
    for header in (*MIME_HEADERS, b''):
        lines.take_exactly(header)
    body = []
    while not lines.accept(rb'---'):
        line = _text(lines.take(rb'.*', "'---' behind the message")[0])
        body.append(line[1:] if line.startswith('>') and QUOTED.match(line) else line)
    patch = Patch(_text(author[1]), _text(author[2]), date, _text(subject), '\n'.join(body))
    while not lines.accept(MAIL_END[0]):
        patch.changes.append(_parse_change(lines))
    lines.take_exactly(MAIL_END[1])
    if lines.peek() is not None:
        raise Refused(f'line {lines.next + 1}: something follows the end of the patch')
    if patch.subject != patch.subject.strip() or patch.body != patch.body.strip('\n'):
        raise Refused('subject or body begins or ends with a blank')
    order = [_position(change) for change in patch.changes]
    if order != sorted(set(order)):
        raise Refused('changes are out of order, or two of them name the same path')
    for number, (found, expected) in enumerate(zip(lines.lines, render(patch).split(b'\n')), 1):
        if found != expected:
            raise Refused(f'line {number}: expected {printable(expected)!r}, '
                          f'found {printable(found)!r}')
    return patch


# The effect of hunks

def _check_hunk(hunk: Hunk, start: int, done: int, offset: int, lines: List[bytes]) -> None:
    """Refuse a hunk that removes other lines than it can, or adds them elsewhere than it says."""
    end = start + hunk.old_count
    if start < done:
        raise Refused('overlaps the hunk before it, or is out of order')
    if end > len(lines):
        raise Refused(f'reaches beyond the end of the file, which has {len(lines)} lines')
    new_start = start + offset + (1 if hunk.new_count else 0)
    if hunk.new_start != new_start:
        raise Refused(f'the new side begins at line {new_start}')
    unterminated = hunk.old_count > 0 and not lines[end - 1].endswith(b'\n')
    if hunk.old_unterminated != unterminated:
        raise Refused('contradicts the file about the newline at its end')


def apply_hunks(content: bytes, hunks: List[Hunk]) -> bytes:
    """The text after the change. That it is the wanted one only its hash can tell."""
    lines = split_lines(content)
    result = []
    done = offset = 0                   # lines consumed so far, growth so far
    for hunk in hunks:
        start = hunk.old_start - (1 if hunk.old_count else 0)
        try:
            _check_hunk(hunk, start, done, offset, lines)
        except Refused as reason:
            raise Refused(f'hunk {hunk.header().decode()}: {reason}') from None
        result += lines[done:start] + hunk.added
        done = start + hunk.old_count
        offset += hunk.new_count - hunk.old_count
    return b''.join(result + lines[done:])


def hunks_of_diff(diff: bytes) -> List[Hunk]:
    """The hunks of one file's `git diff` without context, removed lines left out."""
    hunks = []
    lines = iter(split_lines(diff))
    for line in lines:
        match = re.match(rb'@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@', line)
        if match:
            numbers = [1 if number is None else int(number) for number in match.groups()]
            hunks.append(Hunk(*numbers))
        elif hunks and line.startswith(b'+'):
            hunks[-1].added.append(line[1:])
        elif hunks and line.startswith(b'\\'):
            if hunks[-1].added:
                hunks[-1].added[-1] = hunks[-1].added[-1][:-1]
            else:
                hunks[-1].old_unterminated = True
    return hunks


def hunks_of_new_file(content: bytes) -> List[Hunk]:
    lines = split_lines(content)
    return [Hunk(0, 0, 1, len(lines), added=lines)] if lines else []
