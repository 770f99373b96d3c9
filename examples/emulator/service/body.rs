//! Bodies of answers: known, in one or several parts, or made while they are sent.
//!
//! A server of anybody's gets the parts one after the other, each a frame. Ours takes those that are known all at once
//! ([`Gathered`]): the system is called once for a page, not for each block of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Buf, Bytes, Frame, SizeHint};

/// The body of an answer.
pub struct AnswerBody(Kind);

enum Kind {
    Known(Parts),
    Made(UnsyncBoxBody<Bytes, Infallible>),
}

impl AnswerBody {
    /// A body that is known whole, in its parts.
    pub(super) fn known(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        Self(Kind::Known(Parts(parts.collect())))
    }

    /// A body that is made while it is sent.
    pub(super) fn made(body: impl Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Self {
        Self(Kind::Made(body.boxed_unsync()))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Kind::Known(Parts(parts)) => {
                Poll::Ready(parts.pop_front().map(|part| Ok(Frame::data(part))))
            }
            Kind::Made(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Known(Parts(parts)) => parts.is_empty(),
            Kind::Made(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Known(parts) => SizeHint::with_exact(parts.remaining() as u64),
            Kind::Made(body) => body.size_hint(),
        }
    }
}

/// A body whose known parts come as one frame.
pub(super) struct Gathered(pub(super) AnswerBody);

impl Body for Gathered {
    type Data = Parts;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Parts>, Infallible>>> {
        match &mut self.0.0 {
            Kind::Known(parts) if parts.has_remaining() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(parts)))))
            }
            Kind::Known(_) => Poll::Ready(None),
            Kind::Made(body) => Pin::new(body).poll_frame(context).map(|frame| {
                frame.map(|Ok(frame)| Ok(frame.map_data(|part| Parts(VecDeque::from([part])))))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Parts that follow each other, none of them empty. Each is let go of as soon as it has been sent.
#[derive(Default)]
pub(super) struct Parts(VecDeque<Bytes>);

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pairs = slices.iter_mut().zip(&self.0);
        pairs.map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(part) = self.0.front_mut().filter(|_| count > 0) {
            let of_this = count.min(part.len());
            part.advance(of_this);
            count -= of_this;
            if part.is_empty() {
                self.0.pop_front();
            }
        }
        assert_eq!(count, 0, "nobody goes on behind the end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[&'static str]) -> AnswerBody {
        AnswerBody::known(texts.iter().map(|text| Bytes::from_static(text.as_bytes())))
    }

    #[tokio::test]
    async fn parts_are_frames_for_others_and_one_frame_for_us() {
        let texts = ["{\"a\":", "", "[1,2", "]}"];
        let mut body = parts(&texts);
        assert_eq!(body.size_hint().exact(), Some(11));
        let mut frames = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            frames.push(frame.into_data().expect("data"));
        }
        assert_eq!(frames, ["{\"a\":", "[1,2", "]}"]);
        assert!(body.is_end_stream());

        let mut gathered = Gathered(parts(&texts));
        let frame = gathered.frame().await.and_then(Result::ok).expect("a frame");
        let mut all = frame.into_data().ok().expect("data");
        assert!(gathered.is_end_stream() && gathered.frame().await.is_none());
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!((all.remaining(), all.chunks_vectored(&mut slices)), (11, 2));
        assert_eq!(&*slices[1], b"[1,2");
        all.advance(7);
        assert_eq!((all.chunk(), all.remaining()), (&b",2"[..], 4));
        assert_eq!(all.copy_to_bytes(4), ",2]}");
        assert!(!all.has_remaining() && all.chunk().is_empty());
        assert!(Gathered(parts(&[])).frame().await.is_none());
    }
}
