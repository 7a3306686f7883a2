"""One repository of a registry, by the OCI distribution specification.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md. What is received is believed when its
digest is the one that was asked for, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urljoin

from proj.errors import FailureCode, ImageError
from proj.images.answers import NotNowError
from proj.images.blobs import digest_of
from proj.images.documents import MANIFEST_TYPES, MOST_DOCUMENT_BYTES
from proj.images.http import Transport
from proj.images.reference import is_digest
from proj.images.streams import Rest, Told
from proj.model import _Value

if TYPE_CHECKING:
    from pathlib import Path

    from proj.images.answers import Answer
    from proj.images.blobs import BlobCache, Incoming
    from proj.images.documents import Descriptor
    from proj.images.reference import Reference

_OK: Final = 200
_CREATED: Final = 201
_ACCEPTED: Final = 202
_NO_CONTENT: Final = 204
_PARTIAL: Final = 206
_NOT_FOUND: Final = 404
_BAD_RANGE: Final = 416
_OCTETS: Final = {"Content-Type": "application/octet-stream"}


class Repository:
    """A repository, for any number of threads.

    Args:
        transport: Connections to its registry.
        name: Such as `library/python`.
        write: Whether images are going to be sent to it.
        mounts_from: Another repository of the registry, of which blobs may be taken.
    """

    def __init__(
        self, transport: Transport, name: str, *, write: bool = False, mounts_from: str | None = None
    ) -> None:
        self._transport = transport
        self.name = name
        scopes = {f"repository:{name}:{'pull,push' if write else 'pull'}"}
        if mounts_from is not None:
            scopes.add(f"repository:{mounts_from}:pull")
        self._scopes = frozenset(scopes)

    @property
    def host(self) -> str:
        """The registry."""
        return self._transport.host

    # --- manifests --------------------------------------------------------------------------------

    def manifest(self, version: str) -> tuple[bytes, str, str]:
        """Get a manifest or an index.

        Args:
            version: A tag or a digest.

        Returns:
            Its bytes, its media type as the registry has it, its digest.

        Raises:
            ImageError: It is not there, or is not what the registry says that it is.
        """
        where = self._at(version)
        for count in range(1, self._transport.patience.tries + 1):
            answer = self._transport.ask(
                "GET",
                f"{self.name}/manifests/{version}",
                scopes=self._scopes,
                headers={"Accept": ", ".join(MANIFEST_TYPES)},
                good=(_OK, _NOT_FOUND),
            )
            try:
                content = answer.body(MOST_DOCUMENT_BYTES)
                break
            except NotNowError:
                if count == self._transport.patience.tries:
                    raise
                self._transport.pause(count)
        if answer.status == _NOT_FOUND:
            raise ImageError(
                f"There is no image {where}.",
                code=FailureCode.IMAGE_PULL,
                hint="Check its name and tag; a registry may also hide what one may not read: docker login "
                f"{self.host}",
            )
        digest = digest_of(content)
        claimed = answer.headers.get("Docker-Content-Digest", "").strip()
        wanted = version if is_digest(version) else claimed
        if wanted and wanted.startswith("sha256:") and wanted != digest:
            raise _lied(where, wanted, digest)
        return content, answer.headers.get("Content-Type", ""), digest

    def put_manifest(self, content: bytes, media_type: str, version: str) -> str:
        """Send a manifest or an index, and return its digest.

        Raises:
            ImageError: The registry does not take it, or says that it got another.
        """
        answer = self._transport.ask(
            "PUT",
            f"{self.name}/manifests/{version}",
            scopes=self._scopes,
            headers={"Content-Type": media_type},
            body=content,
            good=(_CREATED, _OK, _ACCEPTED),
        )
        answer.close()
        digest = digest_of(content)
        claimed = answer.headers.get("Docker-Content-Digest", "").strip()
        if claimed.startswith("sha256:") and claimed != digest:
            raise _lied(self._at(version), digest, claimed)
        return digest

    def has_manifest(self, digest: str) -> bool:
        """Whether a manifest is there."""
        answer = self._transport.ask(
            "HEAD",
            f"{self.name}/manifests/{digest}",
            scopes=self._scopes,
            headers={"Accept": ", ".join(MANIFEST_TYPES)},
            good=(_OK, _NOT_FOUND),
        )
        answer.close()
        return answer.status == _OK

    # --- blobs: from it ---------------------------------------------------------------------------

    def fetch(self, blob: Descriptor, cache: BlobCache, told: Told | None = None) -> Path:
        """Get a blob into the cache, unless it is there.

        A connection that breaks is taken up again where it broke, if the registry can do that.

        Args:
            blob: Which.
            cache: Where to.
            told: Called with the number of bytes that are there so far.

        Raises:
            ImageError: It cannot be had, or is not what its digest says: then nothing is kept.
        """
        found = cache.find(blob.digest, blob.size)
        if found is not None:
            return found
        with cache.incoming() as incoming:
            failures = wrong = 0
            while True:
                before = incoming.size_bytes
                try:
                    self._receive(blob, incoming, told or _nobody)
                except NotNowError as error:
                    failures = 1 if incoming.size_bytes > before else failures + 1
                    if failures >= self._transport.patience.tries:
                        raise
                    self._transport.pause(failures, error.asked_s)
                    continue
                if incoming.size_bytes == blob.size and incoming.digest == blob.digest:
                    incoming.keep()
                    return cache.path(blob.digest)
                wrong += 1
                if wrong > 1:  # the first time, a proxy on the way may have cut or mixed something
                    raise _lied(self._at(blob.digest), blob.digest, incoming.digest)
                incoming.restart()

    def _receive(self, blob: Descriptor, incoming: Incoming, told: Told) -> None:
        offset = incoming.size_bytes
        headers = {"Range": f"bytes={offset}-{blob.size - 1}"} if 0 < offset < blob.size else {}
        answer = self._transport.ask(
            "GET",
            f"{self.name}/blobs/{blob.digest}",
            scopes=self._scopes,
            headers=headers,
            good=(_OK, _PARTIAL, _NOT_FOUND, _BAD_RANGE),
            once=True,
        )
        if answer.status == _NOT_FOUND:
            raise ImageError(
                f"{self._at(blob.digest)} is missing, though the image's manifest names it.",
                code=FailureCode.IMAGE_PULL,
                hint="The image is damaged there: push it again.",
            )
        if offset and not (answer.status == _PARTIAL and _begins_at(answer, offset)):
            incoming.restart()
        if answer.status == _BAD_RANGE:
            answer.close()
            return
        for chunk in answer.chunks():
            incoming.write(chunk)
            if incoming.size_bytes > blob.size:
                answer.close()
                return  # its digest cannot be right
            told(incoming.size_bytes)

    # --- blobs: to it -----------------------------------------------------------------------------

    def has(self, digest: str, *, once: bool = False) -> bool:
        """Whether a blob is there.

        Args:
            digest: The blob.
            once: See `Transport.ask`.
        """
        answer = self._transport.ask(
            "HEAD", f"{self.name}/blobs/{digest}", scopes=self._scopes, good=(_OK, _NOT_FOUND), once=once
        )
        answer.close()
        return answer.status == _OK

    def mount(self, digest: str, source: str) -> bool:
        """Take a blob over from another repository of the same registry; False if that cannot be done.

        Args:
            digest: The blob.
            source: The other repository's name.
        """
        query = urlencode({"mount": digest, "from": source})
        try:
            answer = self._transport.ask(
                "POST",
                f"{self.name}/blobs/uploads/?{query}",
                scopes=self._scopes,
                good=(_CREATED, _ACCEPTED),
            )
        except NotNowError:
            raise
        except ImageError:
            return False  # some registries refuse what they do not know; sending it tells what is wrong
        answer.close()
        if answer.status == _ACCEPTED:
            self._cancel(self._location(answer))
        return answer.status == _CREATED

    def send(self, blob: Descriptor, path: Path, told: Told | None = None) -> None:
        """Send a blob; what broke off goes on where it broke, if the registry can do that.

        Args:
            blob: Which.
            path: Its file.
            told: Called with the number of bytes that are sent so far.

        Raises:
            ImageError: The registry does not take it.
        """
        upload: _Upload | None = None
        failures = 0
        while True:
            try:
                upload = upload or self._begin()
                upload = self._append(upload, blob, path, told or _nobody)
                self._finish(upload, blob)
            except NotNowError as error:
                failures += 1
                if failures >= self._transport.patience.tries:
                    raise
                self._transport.pause(failures, error.asked_s)
                if self._arrived(blob.digest):
                    return
                upload = self._resumed(upload, blob)
            except ImageError:
                if upload is None or not upload.resumed:
                    raise
                upload = None  # it cannot go on in the middle: from the beginning
            else:
                return

    def _arrived(self, digest: str) -> bool:
        try:
            return self.has(digest, once=True)
        except NotNowError:
            return False

    def _begin(self) -> _Upload:
        answer = self._transport.ask(
            "POST", f"{self.name}/blobs/uploads/", scopes=self._scopes, good=(_ACCEPTED,), once=True
        )
        answer.close()
        return _Upload(url=self._location(answer))

    def _append(self, upload: _Upload, blob: Descriptor, path: Path, told: Told) -> _Upload:
        """Send all that is missing in one request, as docker does: every registry takes that."""
        if upload.offset == blob.size and blob.size:
            return upload
        headers = {**_OCTETS, "Content-Length": str(blob.size - upload.offset)}
        if upload.offset:
            headers["Content-Range"] = f"{upload.offset}-{blob.size - 1}"
        answer = self._transport.ask(
            "PATCH",
            upload.url,
            scopes=self._scopes,
            headers=headers,
            stream=lambda: Rest(path, upload.offset, blob.size, told),
            good=(_ACCEPTED, _NO_CONTENT, _CREATED),
            once=True,
        )
        answer.close()
        return _Upload(url=self._location(answer), offset=blob.size, resumed=upload.resumed)

    def _finish(self, upload: _Upload, blob: Descriptor) -> None:
        separator = "&" if "?" in upload.url else "?"
        answer = self._transport.ask(
            "PUT",
            f"{upload.url}{separator}{urlencode({'digest': blob.digest})}",
            scopes=self._scopes,
            headers={**_OCTETS, "Content-Length": "0"},
            good=(_CREATED, _NO_CONTENT, _ACCEPTED),
            once=True,
        )
        answer.close()
        claimed = answer.headers.get("Docker-Content-Digest", "").strip()
        if claimed.startswith("sha256:") and claimed != blob.digest:
            raise _lied(self._at(blob.digest), blob.digest, claimed)

    def _resumed(self, upload: _Upload | None, blob: Descriptor) -> _Upload | None:
        """Ask how much has arrived; None: begin anew."""
        if upload is None:
            return None
        try:
            answer = self._transport.ask(
                "GET", upload.url, scopes=self._scopes, good=(_NO_CONTENT, _ACCEPTED), once=True
            )
        except ImageError:
            return None
        answer.close()
        first, dash, last = answer.headers.get("Range", "").rpartition("=")[2].partition("-")
        if not dash or first != "0" or not last.isdigit() or int(last) >= blob.size:
            return None
        arrived = int(last) + 1 if int(last) else 0  # `0-0` is what registries say of nothing, too
        return _Upload(url=self._location(answer, upload.url), offset=arrived, resumed=True)

    def _cancel(self, session: str) -> None:
        try:
            self._transport.ask(
                "DELETE", session, scopes=self._scopes, good=(_NO_CONTENT, _ACCEPTED, _NOT_FOUND), once=True
            ).close()
        except ImageError:
            return  # the registry forgets it in time

    def _location(self, answer: Answer, default: str | None = None) -> str:
        location = answer.headers.get("Location")
        if location:
            return urljoin(answer.url, location)
        if default is not None:
            return default
        raise ImageError(f"{self.host} does not say where to send a blob.")

    def _at(self, version: str) -> str:
        separator = "@" if is_digest(version) else ":"
        return f"{self.host}/{self.name}{separator}{version}"


def repository(
    reference: Reference, *, insecure: bool = False, write: bool = False, mounts_from: str | None = None
) -> Repository:
    """The repository of a reference, with connections of its own."""
    return Repository(
        Transport(reference.host, insecure=insecure),
        reference.repository,
        write=write,
        mounts_from=mounts_from,
    )


class _Upload(_Value, frozen=True):
    """A blob on its way."""

    url: str
    """Where what follows goes to."""
    offset: int = 0
    """How much has arrived."""
    resumed: bool = False


def _begins_at(answer: Answer, offset: int) -> bool:
    return answer.headers.get("Content-Range", "").strip().startswith(f"bytes {offset}-")


def _nobody(_count: int) -> None:
    """Tell nobody."""


def _lied(where: str, wanted: str, got: str) -> ImageError:
    return ImageError(
        f"{where} is not what it should be: its digest is {got}, not {wanted}. It is not used.",
        code=FailureCode.IMAGE_PULL,
        hint="The registry, or something on the way to it, changes what it sends: do not trust it.",
    )
