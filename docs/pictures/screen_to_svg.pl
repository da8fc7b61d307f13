#!/usr/bin/perl
# docs/pictures/screen_to_svg.pl <SCREEN >PICTURE - what `tmux capture-pane -e -p` prints, as SVG.
#
# Each line is cut at the changes of its colours; a piece is a rectangle, if it has a background, and a text
# as wide as its characters. Knows the attributes that curses programs use: bold, dim, underline, reverse and
# the 16 colours. Needs perl alone.
use strict;
use warnings;
use utf8;
binmode STDIN,  ':encoding(UTF-8)';
binmode STDOUT, ':encoding(UTF-8)';

my ($cell_width, $cell_height, $margin) = (8, 17, 10);
my ($paper, $ink) = ('#1d1f21', '#d0d0d0');
my @color = map { "#$_" } qw(3a3a3a d75f5f 87af5f d7af5f 5f87d7 af87d7 5fafaf d0d0d0
	6c6c6c ff8787 afd787 ffd787 87afff d7afff 87d7d7 ffffff);

my %pen;
sub reset_pen { %pen = (bold => 0, dim => 0, underline => 0, reverse => 0, ink => $ink, paper => $paper) }

sub take_attributes {
	my @codes = split /;/, shift // '';
	@codes = (0) unless @codes;
	for my $code (@codes) {
		$code = 0 if $code eq '';
		if    ($code == 0)  { reset_pen() }
		elsif ($code == 1)  { $pen{bold} = 1 }
		elsif ($code == 2)  { $pen{dim} = 1 }
		elsif ($code == 4)  { $pen{underline} = 1 }
		elsif ($code == 7)  { $pen{reverse} = 1 }
		elsif ($code == 22) { $pen{bold} = $pen{dim} = 0 }
		elsif ($code == 24) { $pen{underline} = 0 }
		elsif ($code == 27) { $pen{reverse} = 0 }
		elsif ($code == 39) { $pen{ink} = $ink }
		elsif ($code == 49) { $pen{paper} = $paper }
		elsif ($code >= 30 && $code <= 37) { $pen{ink} = $color[$code - 30] }
		elsif ($code >= 40 && $code <= 47) { $pen{paper} = $color[$code - 40] }
		elsif ($code >= 90 && $code <= 97) { $pen{ink} = $color[$code - 82] }
	}
}

sub escape {
	my $text = shift;
	$text =~ s/&/&amp;/g;
	$text =~ s/</&lt;/g;
	$text =~ s/>/&gt;/g;
	$text =~ s/ /\x{a0}/g;    # blanks keep their width
	return $text;
}

my ($body, $columns, $y) = ('', 0, 0);

sub draw {
	my ($x, $text) = @_;
	my ($fore, $back) = $pen{reverse} ? @pen{qw(paper ink)} : @pen{qw(ink paper)};
	my ($left, $top) = ($margin + $x * $cell_width, $margin + $y * $cell_height);
	my $width = length($text) * $cell_width;
	$body .= qq(<rect x="$left" y="$top" width="$width" height="$cell_height" fill="$back"/>\n) if $back ne $paper;
	return if $text =~ /^ *$/;
	my $style = ($pen{bold} ? ' font-weight="bold"' : '') . ($pen{underline} ? ' text-decoration="underline"' : '') .
		($pen{dim} ? ' opacity="0.6"' : '');
	$body .= sprintf qq(<text x="%d" y="%d" textLength="%d" fill="%s"%s>%s</text>\n), $left, $top + 13, $width, $fore,
		$style, escape($text);
}

reset_pen();
while (my $line = <STDIN>) {
	chomp $line;
	my $x = 0;
	for my $piece (split /(\e\[[0-9;]*m|\x0e|\x0f)/, $line) {
		if ($piece =~ /^\e\[([0-9;]*)m$/) { take_attributes($1); next }
		next if $piece eq '' || $piece =~ /^[\x0e\x0f]$/;
		draw($x, $piece);
		$x += length $piece;
	}
	$columns = $x if $x > $columns;
	$y++;
}
my ($width, $height) = (2 * $margin + $columns * $cell_width, 2 * $margin + $y * $cell_height);
print qq(<svg xmlns="http://www.w3.org/2000/svg" width="$width" height="$height" viewBox="0 0 $width $height" ),
	qq(font-family="monospace" font-size="13">\n<rect width="$width" height="$height" rx="6" fill="$paper"/>\n$body</svg>\n);
