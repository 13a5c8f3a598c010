// A picture from the camera of this machine.

import { useEffect, useRef, useState } from "preact/hooks";
import { Dialog } from "./dialog";
import { text } from "./strings";

/** Camera shows what the camera sees, and takes a picture of it. */
export function Camera({ onTake, onClose }: { onTake: (file: File) => void; onClose: () => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [ready, setReady] = useState(false);
  const [error, setError] = useState("");
  useEffect(() => {
    let stream: MediaStream | undefined;
    let here = true;
    const wanted = { video: { width: { ideal: 1920 }, facingMode: "environment" } };
    // Browsers have no mediaDevices on pages that came over plain HTTP from another machine.
    (navigator.mediaDevices?.getUserMedia(wanted) ?? Promise.reject(new Error(text.cameraRefused)))
      .then((s) => {
        stream = s;
        if (!here) return s.getTracks().forEach((track) => track.stop());
        video.current!.srcObject = s;
      })
      .catch((e) => setError(`${text.cameraRefused}: ${e.message}`));
    return () => {
      here = false;
      stream?.getTracks().forEach((track) => track.stop());
    };
  }, []);
  const take = () => {
    const { videoWidth: width, videoHeight: height } = video.current!;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d")!.drawImage(video.current!, 0, 0);
    canvas.toBlob((blob) => blob && onTake(new File([blob], "camera.jpg", { type: blob.type })), "image/jpeg", 0.95);
  };
  return (
    <Dialog title={text.camera} onClose={onClose}>
      {error
        ? <p class="error" role="alert">{error}</p>
        : <video ref={video} autoPlay muted playsInline onLoadedData={() => setReady(true)} />}
      <p><button type="button" class="primary" disabled={!ready} onClick={take}>{text.cameraTake}</button></p>
    </Dialog>
  );
}
