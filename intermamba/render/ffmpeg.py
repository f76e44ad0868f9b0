"""Check for ffmpeg, without importing any drawing code."""

from intermamba.errors import StateError


def check_ffmpeg(where: str) -> None:
    """Check that MP4s can be written; ``where`` names the setting that requires it.

    Raises:
        StateError: there is no ffmpeg.
    """
    import imageio_ffmpeg

    try:
        imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise StateError(f"{where}: mp4 needs ffmpeg, and none was found ({error}). Choose gif instead.") from error
