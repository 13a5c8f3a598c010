// Words in which two answers differ.

export interface Word {
  text: string;
  differs: boolean;
}

const most = 2000; // words; the table of lengths is the square of it

/** differing cuts a text into words and marks those that are not in the longest common part with another text. */
export function differing(one: string, other: string): Word[] {
  const words = one.match(/\S+|\s+/g) ?? [];
  const mine = words.filter((word) => word.trim());
  const theirs = other.split(/\s+/).filter(Boolean);
  if (mine.length > most || theirs.length > most) {
    return [{ text: one, differs: false }];
  }
  const common = commonWords(mine, theirs);
  let i = 0;
  return words.map((word) => ({ text: word, differs: word.trim() ? !common[i++] : false }));
}

// commonWords tells of each of a's words whether it belongs to a longest common subsequence with b.
function commonWords(a: string[], b: string[]): boolean[] {
  const width = b.length + 1;
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      length[i * width + j] = a[i] === b[j]
        ? length[(i + 1) * width + j + 1] + 1
        : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
    }
  }
  const common: boolean[] = a.map(() => false);
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      common[i] = true;
      i++;
      j++;
    } else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
    else j++;
  }
  return common;
}
