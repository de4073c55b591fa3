//! Fragmented MP4 (ISO/IEC 14496-12), read as far as samples have to be cut out of it.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// A fragmented MP4 file, taken apart.
#[derive(Debug)]
pub(super) struct File {
    /// Where the fragments begin; what comes before describes the tracks.
    pub(super) header: usize,
    /// The tracks, in the file's order.
    pub(super) tracks: Vec<Track>,
    /// The fragments, in the file's order.
    pub(super) fragments: Vec<Fragment>,
}

/// A track of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    pub(super) id: u32,
    pub(super) is_video: bool,
    /// Units of time per second.
    pub(super) timescale: u64,
    pub(super) defaults: Defaults,
}

/// A `moof` with its `mdat`.
#[derive(Debug)]
pub(super) struct Fragment {
    /// Its bytes in the file.
    pub(super) bytes: Range<usize>,
    /// The samples in it, in the file's order.
    pub(super) samples: Vec<Sample>,
}

/// A coded picture or a piece of sound.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// The [`Track::id`].
    pub(super) track: u32,
    /// When it is decoded, in its track's units.
    pub(super) decoded: u64,
    /// When it is shown, in its track's units.
    pub(super) shown: u64,
    /// The flags of ISO/IEC 14496-12, 8.8.3.1.
    pub(super) flags: u32,
    /// Its bytes in the file.
    pub(super) bytes: Range<usize>,
}

impl Sample {
    /// When it is decoded, given its track's [`Track::timescale`].
    pub(super) fn due(&self, timescale: u64) -> Duration {
        Duration::from_micros(self.decoded * 1_000_000 / timescale)
    }
}

/// What holds for samples that do not say otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    duration: u32,
    size: u32,
    flags: u32,
}

impl File {
    /// Takes a file apart.
    ///
    /// # Errors
    /// Where it is cut short, or not laid out as ffmpeg does it.
    pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut file = Self {
            header: 0,
            tracks: Vec::new(),
            fragments: Vec::new(),
        };
        let mut begun: Option<Boxed<'_>> = None;
        for found in boxes(bytes, 0) {
            let found = found?;
            match &found.kind {
                b"moov" => {
                    file.tracks = tracks(&found)?;
                    file.header = found.end();
                }
                b"moof" => begun = Some(found),
                b"mdat" => {
                    let moof = begun.take().context("an mdat without its moof")?;
                    file.fragments
                        .push(fragment(&file.tracks, &moof, found.end())?);
                }
                _ => {}
            }
        }
        ensure!(file.header > 0, "no moov");
        ensure!(begun.is_none(), "a moof without its mdat");
        Ok(file)
    }
}

fn tracks(moov: &Boxed<'_>) -> anyhow::Result<Vec<Track>> {
    let mut tracks = Vec::new();
    for trak in moov.children(b"trak") {
        tracks.push(track(&trak?)?);
    }
    for trex in moov.child(b"mvex")?.children(b"trex") {
        let mut fields = trex?.fields(4)?;
        let id = fields.u32()?;
        let _description = fields.u32()?;
        let defaults = Defaults {
            duration: fields.u32()?,
            size: fields.u32()?,
            flags: fields.u32()?,
        };
        for track in tracks.iter_mut().filter(|track| track.id == id) {
            track.defaults = defaults;
        }
    }
    Ok(tracks)
}

fn track(trak: &Boxed<'_>) -> anyhow::Result<Track> {
    let mdia = trak.child(b"mdia")?;
    let mut handler = mdia.child(b"hdlr")?.fields(8)?;
    Ok(Track {
        id: after_times(&trak.child(b"tkhd")?)?,
        is_video: handler.u32()?.to_be_bytes() == *b"vide",
        timescale: after_times(&mdia.child(b"mdhd")?)?.into(),
        defaults: Defaults::default(),
    })
}

/// The field behind the creation and modification times, whose width the version tells.
fn after_times(header: &Boxed<'_>) -> anyhow::Result<u32> {
    let version = header.fields(0)?.u32()? >> 24;
    let times = if version == 0 { 8 } else { 16 };
    header.fields(4 + times)?.u32()
}

fn fragment(tracks: &[Track], moof: &Boxed<'_>, end: usize) -> anyhow::Result<Fragment> {
    let mut samples = Vec::new();
    for traf in moof.children(b"traf") {
        run(tracks, moof.start, &traf?, &mut samples)?;
    }
    ensure!(
        samples.iter().all(|sample| sample.bytes.end <= end),
        "a sample outside its mdat"
    );
    Ok(Fragment {
        bytes: moof.start..end,
        samples,
    })
}

/// Reads the samples of one track in a fragment that begins at `base`.
fn run(
    tracks: &[Track],
    base: usize,
    traf: &Boxed<'_>,
    samples: &mut Vec<Sample>,
) -> anyhow::Result<()> {
    let (track, defaults) = header(tracks, &traf.child(b"tfhd")?)?;
    let mut decoded = decode_time(&traf.child(b"tfdt")?)?;
    let trun = traf.child(b"trun")?;
    let mut fields = trun.fields(0)?;
    let flags = fields.u32()?;
    let count = fields.u32()?;
    ensure!(flags & 0x1 != 0, "a trun without its data's offset");
    let mut offset = base + usize::try_from(fields.u32()?)?;
    let first_flags = fields.u32_if(flags & 0x4)?;
    for index in 0..count {
        let duration = fields.u32_if(flags & 0x100)?.unwrap_or(defaults.duration);
        let size = fields.u32_if(flags & 0x200)?.unwrap_or(defaults.size);
        let own_flags = fields.u32_if(flags & 0x400)?;
        let shift = fields.u32_if(flags & 0x800)?.unwrap_or(0).cast_signed();
        let end = offset + usize::try_from(size)?;
        samples.push(Sample {
            track: track.id,
            decoded,
            shown: decoded
                .checked_add_signed(shift.into())
                .context("shown before the start")?,
            flags: first_flags
                .filter(|_| index == 0)
                .or(own_flags)
                .unwrap_or(defaults.flags),
            bytes: offset..end,
        });
        decoded += u64::from(duration);
        offset = end;
    }
    Ok(())
}

/// The track of a fragment's run, and what holds for its samples.
fn header<'a>(tracks: &'a [Track], tfhd: &Boxed<'_>) -> anyhow::Result<(&'a Track, Defaults)> {
    let mut fields = tfhd.fields(0)?;
    let flags = fields.u32()?;
    let id = fields.u32()?;
    ensure!(flags & 0x1 == 0, "a tfhd with a base offset");
    let track = tracks
        .iter()
        .find(|track| track.id == id)
        .context("an unknown track")?;
    let _description = fields.u32_if(flags & 0x2)?;
    let defaults = Defaults {
        duration: fields
            .u32_if(flags & 0x8)?
            .unwrap_or(track.defaults.duration),
        size: fields.u32_if(flags & 0x10)?.unwrap_or(track.defaults.size),
        flags: fields.u32_if(flags & 0x20)?.unwrap_or(track.defaults.flags),
    };
    Ok((track, defaults))
}

fn decode_time(tfdt: &Boxed<'_>) -> anyhow::Result<u64> {
    let mut fields = tfdt.fields(0)?;
    let version = fields.u32()? >> 24;
    let high = if version == 0 {
        0
    } else {
        u64::from(fields.u32()?)
    };
    Ok(high << 32 | u64::from(fields.u32()?))
}

/// A box of a file.
struct Boxed<'a> {
    kind: [u8; 4],
    /// Where it begins in the file.
    start: usize,
    /// Where its contents begin in the file.
    inside: usize,
    contents: &'a [u8],
}

impl<'a> Boxed<'a> {
    fn end(&self) -> usize {
        self.inside + self.contents.len()
    }

    fn children(&self, kind: &'static [u8; 4]) -> impl Iterator<Item = anyhow::Result<Self>> {
        let children = boxes(self.contents, self.inside);
        children.filter(move |child| child.as_ref().map_or(true, |child| child.kind == *kind))
    }

    fn child(&self, kind: &'static [u8; 4]) -> anyhow::Result<Self> {
        let missing = || format!("no {}", String::from_utf8_lossy(kind));
        self.children(kind).next().with_context(missing)?
    }

    fn fields(&self, skip: usize) -> anyhow::Result<Fields<'a>> {
        Ok(Fields {
            rest: self.contents.get(skip..).context("a box is too short")?,
        })
    }
}

/// The boxes that follow each other in `bytes`, which begin at `start` in the file.
fn boxes(bytes: &[u8], start: usize) -> impl Iterator<Item = anyhow::Result<Boxed<'_>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let found = first_box(rest, start + at);
        at = found
            .as_ref()
            .map_or(bytes.len(), |found| found.end() - start);
        Some(found)
    })
}

fn first_box(bytes: &[u8], start: usize) -> anyhow::Result<Boxed<'_>> {
    let mut fields = Fields { rest: bytes };
    let size = usize::try_from(fields.u32()?)?;
    let kind = fields.u32()?.to_be_bytes();
    let (header, size) = match size {
        0 => bail!("a box to the end of the file"),
        1 => (
            16,
            usize::try_from(u64::from(fields.u32()?) << 32 | u64::from(fields.u32()?))?,
        ),
        size => (8, size),
    };
    let contents = bytes.get(header..size).context("a box is cut short")?;
    Ok(Boxed {
        kind,
        start,
        inside: start + header,
        contents,
    })
}

/// The fields of a box, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
}

impl Fields<'_> {
    fn u32(&mut self) -> anyhow::Result<u32> {
        let (field, rest) = self
            .rest
            .split_first_chunk()
            .context("a box is too short")?;
        self.rest = rest;
        Ok(u32::from_be_bytes(*field))
    }

    fn u32_if(&mut self, present: u32) -> anyhow::Result<Option<u32>> {
        if present == 0 {
            Ok(None)
        } else {
            self.u32().map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(kind: &[u8; 4], contents: &[u8]) -> Vec<u8> {
        let size = u32::try_from(contents.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, contents].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn movie() -> Vec<u8> {
        let tkhd = atom(b"tkhd", &words(&[0, 0, 0, 7]));
        let mdhd = atom(b"mdhd", &words(&[0, 0, 0, 600]));
        let hdlr = atom(b"hdlr", &[&words(&[0, 0])[..], b"vide"].concat());
        let mdia = atom(b"mdia", &[mdhd, hdlr].concat());
        let trak = atom(b"trak", &[tkhd, mdia].concat());
        let trex = atom(b"trex", &words(&[0, 7, 1, 20, 3, 0x0101_0000]));
        atom(b"moov", &[trak, atom(b"mvex", &trex)].concat())
    }

    /// Two samples of 3 and 2 bytes, the first of them a key frame shown 5 units late.
    fn fragment() -> Vec<u8> {
        let tfhd = atom(b"tfhd", &words(&[0, 7]));
        let tfdt = atom(b"tfdt", &words(&[0x0100_0000, 0, 1000]));
        let size = 8 + 8 + tfhd.len() + tfdt.len() + 8 + 32;
        let offset = u32::try_from(size + 8).unwrap();
        let trun = words(&[0xa05, 2, offset, 0x0200_0000, 3, 5, 2, 0]);
        let traf = atom(b"traf", &[tfhd, tfdt, atom(b"trun", &trun)].concat());
        [atom(b"moof", &traf), atom(b"mdat", b"abcde")].concat()
    }

    #[test]
    fn samples_are_found_with_their_times_flags_and_bytes() {
        let bytes = [atom(b"ftyp", b"iso6"), movie(), fragment()].concat();

        let file = File::parse(&bytes).unwrap();

        assert_eq!(file.header, 12 + movie().len());
        assert!(file.tracks[0].is_video && file.tracks[0].timescale == 600);
        let [first, second] = &file.fragments[0].samples[..] else {
            panic!("two samples")
        };
        assert_eq!(
            (first.decoded, first.shown, first.flags),
            (1000, 1005, 0x0200_0000)
        );
        assert_eq!(
            (second.decoded, second.shown, second.flags),
            (1020, 1020, 0x0101_0000)
        );
        assert_eq!(&bytes[first.bytes.clone()], b"abc");
        assert_eq!(&bytes[second.bytes.clone()], b"de");
        assert_eq!(file.fragments[0].bytes, file.header..bytes.len());
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let bytes = [movie(), fragment()].concat();

        for end in 1..bytes.len() {
            let at_a_boundary = end == movie().len();
            assert_eq!(
                File::parse(&bytes[..end]).is_ok(),
                at_a_boundary,
                "cut at {end}"
            );
        }
    }
}
