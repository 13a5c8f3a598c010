// Package sets reads public sets of questions about pictures in the layouts that they are published
// in, and scores answers by the metric that each set defines. The files are the user's own copies;
// nothing is fetched.
//
// A [Layout] joins what belongs together: the columns that tell a set from others, how a record of
// it becomes questions, and the metric. Records come from Parquet, as Hugging Face stores them, or
// from JSON beside a folder of pictures, as the authors published them. Prompts are lmms-eval's, so
// that scores can be compared with published ones.
package sets
